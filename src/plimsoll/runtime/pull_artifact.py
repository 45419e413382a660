"""`python -m plimsoll.runtime.pull_artifact REFERENCE --output DIR`: pull a step's result into a directory, verified.

It exits 1 with a one-line reason on failure. The variables for the registry are those of `plimsoll.runtime.pull`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.pod.store import sealer_in_a_pod


def main() -> None:
    """Pull the result; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.pull_artifact", description="Pull a step's result."
    )
    parser.add_argument("reference", help="registry/repository@sha256:…")
    parser.add_argument("--output", type=Path, required=True, help="the directory to create")
    parser.add_argument("--sealed", action="store_true", help="it is encrypted under the key of this pod's Secret")
    arguments = parser.parse_args()
    try:
        reference = parse_reference(arguments.reference)
        sealer = sealer_in_a_pod() if arguments.sealed else None
        with Repository(reference, sealer=sealer) as repository:
            if not artifacts.pull(repository, reference.target, arguments.output):
                raise TargetError(
                    "the result is not in the registry", where=arguments.reference, hint="run the step again"
                )
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
