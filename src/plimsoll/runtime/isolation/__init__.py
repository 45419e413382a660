"""Sandboxes of this machine: what processes in them see, how bubblewrap is told, and what they were refused."""
