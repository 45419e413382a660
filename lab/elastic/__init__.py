"""A group of nodes that grows and shrinks, like a cloud's instance group for its autoscaler."""
