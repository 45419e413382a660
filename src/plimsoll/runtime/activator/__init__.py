"""The activator: a proxy in front of servers that are scaled to zero. It holds requests until a server is ready.

Run it as `python -m plimsoll.runtime.activator --to HOST:PORT`. It has no permissions and starts nothing: an autoscaler
reads the load from `/plimsoll/load` and sets the number of servers. It stays in front of running servers to measure
their load. It answers the health checks of a gateway itself, so that they start no server.
"""
