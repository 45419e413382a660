"""The verbs. Each module has a click command called `command`."""
