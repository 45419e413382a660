"""The keeper: a process of its own that keeps the services of an application up on this machine.

`records` is what it and others write and read, `process` is the keeper itself, `control` is for who starts and ends it.
"""
