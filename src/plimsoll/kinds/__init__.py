"""The kinds of parts of an application file: one module for each, and one table."""
