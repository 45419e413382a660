"""Builds pinned Go modules into cached binaries."""
