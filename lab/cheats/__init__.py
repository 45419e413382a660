"""Cheats: ways to look conformant without being conformant. No probe may pass with a cheat switched on.

A cheat changes the lab with real objects and processes. It records every change on disk first, so that another process
can undo the changes even when the first one was killed. `catalogue` is the table of cheats.
"""
