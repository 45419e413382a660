"""Runs the benchmarks that are named, or all."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "startup",
    "pipeline",
    "training",
    "install",
    "kills",
    "lab",
    "kubernetes",
    "images",
    "serving",
    "drift",
    "check",
)


def main() -> None:
    """Run and print each; the exit status is 1 when one misses its limit."""
    wanted = sys.argv[1:] or NAMES
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    kept = [importlib.import_module(f"benchmarks.{name}").main([]) for name in wanted]
    sys.exit(0 if all(kept) else 1)


main()
