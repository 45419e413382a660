"""The application file: its types, how it is loaded, and where each mistake in it stands."""
