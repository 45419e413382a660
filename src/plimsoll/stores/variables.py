"""Addresses and keys of stores, which are in variables and nowhere else."""

from __future__ import annotations

import os

from plimsoll.stores.port import StoreError


def value_of(variable: str, what: str) -> str:
    """The value of a variable. Raises StoreError without one; `what` says what it is to be set to."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise StoreError(f"the variable {variable} is not set", hint=f"set it to {what}", lasting=True)
    return value
