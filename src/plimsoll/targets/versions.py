"""Finds the installed version of a package by its metadata directory, which is faster than importlib.metadata."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def installed_version(package: str) -> str:
    """The version of a package that this interpreter would import; empty when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    site = Path(spec.origin).parent.parent
    found = sorted(site.glob(f"{package}-*.dist-info"))
    return found[-1].name.removesuffix(".dist-info").partition("-")[2] if found else ""
