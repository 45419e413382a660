"""What stands before servers that may be none: it holds requests until one is there, and says how many it wants.

Run as `python -m plimsoll.runtime.activator --to HOST:PORT`. It has no rights and starts nothing itself: an autoscaler
asks it for the load (`/plimsoll/load`) and sets the number of servers. It stays before them when they run, so that the
load is known; health checks of a gateway it answers itself, for they shall wake nobody.
"""
