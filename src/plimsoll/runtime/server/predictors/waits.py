"""How long the server waits for the user's code, and before it starts it again."""

START_LIMIT = 50.0
"""Seconds for code to be loaded: frameworks are slow to import, and models to read."""
PAUSES = (0.0, 0.1, 0.5, 2.0, 10.0, 30.0)
"""Seconds before a process that has ended is started again, by how often that has been so since the last answer."""
