"""The kinds of parts that an application file has: a module each, and one table."""
