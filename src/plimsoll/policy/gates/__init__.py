"""The built-in gates: a module for each, and one line in `table`."""
