"""`python -m plimsoll.runtime.store_check`: whether the store of an index has what was put in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plimsoll.errors import PlimsollError


def main() -> None:
    """Count the vectors of an index in its store; exit 1 with a one-line reason when it has others."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.store_check", description=__doc__)
    parser.add_argument("index", type=Path, help="the directory of an index")
    try:
        check(parser.parse_args().index)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


def check(directory: Path) -> None:
    """Raise PlimsollError unless the store has as many vectors as were put in."""
    from plimsoll.indexes.layout import read_facts
    from plimsoll.stores.opening import open_vectors

    stored = open_vectors(directory, read_facts(directory))
    try:
        stored.require_whole()
    finally:
        stored.close()


if __name__ == "__main__":
    main()
