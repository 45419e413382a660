"""Language models: the engines that serve them, and what is sent to one and comes back. Knows no target."""
