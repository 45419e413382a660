"""Which version of a package is installed, by the name of its metadata directory: importlib.metadata takes longer."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def installed_version(package: str) -> str:
    """The version of a package that this interpreter would import; empty when there is none."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    site = Path(spec.origin).parent.parent
    found = sorted(site.glob(f"{package}-*.dist-info"))
    return found[-1].name.removesuffix(".dist-info").partition("-")[2] if found else ""
