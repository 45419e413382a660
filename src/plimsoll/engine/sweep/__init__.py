"""Sweeps: trials of a training over values of its parameters, of which the best accepted one is registered."""
