"""Runs the benchmarks that are named, or all. Options after one name are for that benchmark."""

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
    "hardening",
    "daily",
    "rag",
    "llm",
    "edge",
    "trust",
    "isolation",
)


def main() -> None:
    """Run and print each; the exit status is 1 when one misses its limit."""
    given = sys.argv[1:]
    first = next((number for number, word in enumerate(given) if word.startswith("-")), len(given))
    wanted, options = given[:first] or NAMES, given[first:]
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if options and len(wanted) != 1:
        sys.exit("options are for one benchmark: name it before them")
    kept = [importlib.import_module(f"benchmarks.{name}").main(options) for name in wanted]
    sys.exit(0 if all(kept) else 1)


main()
