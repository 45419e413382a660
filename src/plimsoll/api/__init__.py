"""What `import plimsoll` gives: the same engine and the same checks as the command line, as functions with types."""
