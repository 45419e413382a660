"""Devices at the edge: a signed desired state for each group, an agent that keeps to it, and rollouts in rings."""
