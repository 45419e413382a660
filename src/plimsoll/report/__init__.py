"""What a run came to: one HTML page, and the same in the terminal."""
