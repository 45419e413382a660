"""Recorded facts: what was observed, when and by whom. Judging them is done elsewhere."""
