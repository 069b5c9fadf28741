"""What a user asks for, one verb a module, with its dry run beside it."""
