"""A process that holds the signing key: it signs statements for others, and gives nobody the key."""
