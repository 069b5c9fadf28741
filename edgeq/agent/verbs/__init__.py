"""What the agent does when it is asked to, a verb a module."""
