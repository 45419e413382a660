"""What a cluster must be able to do, and how each is shown: a room per capability."""
