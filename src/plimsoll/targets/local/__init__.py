"""This machine as a target: processes under a warden, results and checkpoints on disk."""
