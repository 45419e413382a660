"""A group of nodes that grows and shrinks: what a cloud's instance group is to its autoscaler."""
