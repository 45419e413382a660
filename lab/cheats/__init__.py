"""Ways to look conformant without being it, switched on by name in the lab: what no probe may pass.

A cheat changes the lab with real objects and processes and remembers on disk what it has changed, so that it can be
undone by another process, also when the first was killed. `catalogue` is the table.
"""
