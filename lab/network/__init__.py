"""The network between machines: network namespaces, a bridge, routes, and faults of a link."""
