"""What the lab says when it cannot go on."""

from __future__ import annotations


class LabError(Exception):
    """Something the user can act on: what was wrong, where, and what to do. Shown without a traceback."""
