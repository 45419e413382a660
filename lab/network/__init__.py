"""The wires between machines: network namespaces, a bridge, routes, and what can be done to a link."""
