"""An engineer's day: `python -m benchmarks daily` runs each module of this room that has a `main`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence


def main(options: Sequence[str]) -> bool:
    """Run the modules that options such as `--take-over` name, or all; true when each keeps its limits."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    kept = True
    for name in [option.lstrip("-").replace("-", "_") for option in options] or names:
        module = importlib.import_module(f"{__name__}.{name}")
        if hasattr(module, "main"):
            print(f"{name}:", flush=True)
            kept &= bool(module.main([]))
    return kept
