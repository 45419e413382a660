"""The application file: its types, its loader, and the line and column of each mistake."""
