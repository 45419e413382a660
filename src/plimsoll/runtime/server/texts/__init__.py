"""Models that take texts by their tokenizer: those that embed, and those that put passages in order."""
