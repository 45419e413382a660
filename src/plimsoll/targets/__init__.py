"""Targets that run plans. `port` is the interface of every target, and all that the engine knows of them."""
