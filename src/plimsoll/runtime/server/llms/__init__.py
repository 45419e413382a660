"""Language models behind the server: their processes, whose turn it is, and what is counted."""
