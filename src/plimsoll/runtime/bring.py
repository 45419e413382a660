"""`python -m plimsoll.runtime.bring REFERENCE --output DIR`: a result of a step into a directory, verified.

It exits 1 with one line of reason when it cannot be had. How the registry is reached is said as for
`plimsoll.runtime.pull`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.registry.references import parse
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts


def main() -> None:
    """Bring it; exit 1 with one line of reason when that fails."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.bring", description="Bring a step's result.")
    parser.add_argument("reference", help="registry/repository@sha256:…")
    parser.add_argument("--output", type=Path, required=True, help="the directory to make")
    told = parser.parse_args()
    try:
        reference = parse(told.reference)
        with Repository(reference) as repository:
            if not artifacts.pull(repository, reference.target, told.output):
                raise TargetError("it is not in the registry", where=told.reference, hint="run again to make it anew")
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
