"""The rules of pods as objects of a cluster, which refuses what breaks them whoever makes it."""
