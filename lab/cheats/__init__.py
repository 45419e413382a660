"""Cheats: ways to make the lab look conformant when it is not, switched on by name. No probe may pass one.

A cheat changes the lab with real objects and processes. It records every change on disk first, so that another process
can undo it, even after the first process was killed. `catalogue` is the table.
"""
