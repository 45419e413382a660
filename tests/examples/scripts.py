"""Loads the scripts of an example: they import each other by name, as they do where they run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(example: str, *names: str) -> Sequence[ModuleType]:
    """Modules of one example. They leave nothing behind: scripts of another have the same names."""
    directory = EXAMPLES / example
    own = [path.stem for path in directory.glob("*.py")]
    sys.path.insert(0, str(directory))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(directory))
        for name in own:
            sys.modules.pop(name, None)
