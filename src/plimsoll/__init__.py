"""Plimsoll runs an AI application from one file, and proves by behaviour what a cluster can carry.

`import plimsoll` is quick: what is listed in `__all__` is imported when it is first used. See docs/python.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.api.applications import Application, PlannedRun, ServiceClient, SweptModel, load
    from plimsoll.api.clusters import check, verify
    from plimsoll.capabilities.bundle_reader import Bundle
    from plimsoll.capabilities.checking import Judged
    from plimsoll.engine.cleaning.cleaning import Cleaned
    from plimsoll.engine.history import RunHistory, StepHistory
    from plimsoll.engine.sweep.trials import Sweep, Trial
    from plimsoll.errors import (
        FileError,
        MissingExtra,
        ModelRefused,
        PlimsollError,
        RequestError,
        TargetError,
    )
    from plimsoll.evidence.observation import Observation
    from plimsoll.evidence.verdict import Verdict
    from plimsoll.planning.changes import Decision
    from plimsoll.planning.steps import Plan
    from plimsoll.registry.versions import ModelVersion
    from plimsoll.targets.options import TargetOptions

__version__ = "0.1.0"
__all__ = [
    "Application",
    "Bundle",
    "Cleaned",
    "Decision",
    "FileError",
    "Judged",
    "MissingExtra",
    "ModelRefused",
    "ModelVersion",
    "Observation",
    "Plan",
    "PlannedRun",
    "PlimsollError",
    "RequestError",
    "RunHistory",
    "ServiceClient",
    "StepHistory",
    "Sweep",
    "SweptModel",
    "TargetError",
    "TargetOptions",
    "Trial",
    "Verdict",
    "__version__",
    "check",
    "load",
    "verify",
]

_PLACES = {
    "plimsoll.api.applications": ("Application", "PlannedRun", "ServiceClient", "SweptModel", "load"),
    "plimsoll.api.clusters": ("check", "verify"),
    "plimsoll.capabilities.bundle_reader": ("Bundle",),
    "plimsoll.capabilities.checking": ("Judged",),
    "plimsoll.engine.cleaning.cleaning": ("Cleaned",),
    "plimsoll.engine.history": ("RunHistory", "StepHistory"),
    "plimsoll.engine.sweep.trials": ("Sweep", "Trial"),
    "plimsoll.errors": ("FileError", "MissingExtra", "ModelRefused", "PlimsollError", "RequestError", "TargetError"),
    "plimsoll.evidence.observation": ("Observation",),
    "plimsoll.evidence.verdict": ("Verdict",),
    "plimsoll.planning.changes": ("Decision",),
    "plimsoll.planning.steps": ("Plan",),
    "plimsoll.registry.versions": ("ModelVersion",),
    "plimsoll.targets.options": ("TargetOptions",),
}
_HOMES = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'plimsoll' has no attribute '{name}'")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
