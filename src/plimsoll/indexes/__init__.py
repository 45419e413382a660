"""Search indexes: documents in chunks, found by their words, by their meaning, or by both."""
