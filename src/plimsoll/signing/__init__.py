"""Keys that sign, keys that are trusted, and DSSE envelopes."""
