"""The command line: parses, calls one function and renders what it returns."""
