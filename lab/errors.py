"""The lab's error for its users."""

from __future__ import annotations


class LabError(Exception):
    """A problem that the user can act on: what is wrong, where, and what to do. Printed without a traceback."""
