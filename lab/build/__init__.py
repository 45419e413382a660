"""From pinned Go modules to cached binaries."""
