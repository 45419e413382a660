"""Who calls a server, and what a caller may do: bearer tokens, JSON Web Tokens, and limits by caller."""
