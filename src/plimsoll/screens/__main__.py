"""`python -m plimsoll.screens ORDER`: screen a table, and write what was found and the profile of the version."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.files import replace_file
from plimsoll.screens.order import ScreenOrder


def main() -> None:
    """Exit 0 when everything was looked at, whatever was found; 1 with a one-line reason when it could not be."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.screens", description=__doc__)
    parser.add_argument("order", type=Path, help="what is screened, as JSON")
    try:
        order = msgspec.json.decode(parser.parse_args().order.read_bytes(), type=ScreenOrder)
        carry_out(order)
    except (PlimsollError, *UNREADABLE, OSError) as error:
        told = error.on_one_line() if isinstance(error, PlimsollError) else str(error)
        sys.stderr.write(f"error: {told}\n")
        sys.exit(1)
    except MemoryError:
        sys.stderr.write(
            "error: the table does not fit into memory: look at fewer rows (`rows`), or allow more memory\n"
        )
        sys.exit(1)


def carry_out(order: ScreenOrder) -> None:
    """Screen, write, and print what was found."""
    try:
        from plimsoll.screens.screening import screened
    except ImportError:
        raise MissingExtra("screens", "screening rows") from None
    found, profile = screened(order)
    replace_file(Path(order.profile), msgspec.json.encode(profile))
    replace_file(Path(order.report), msgspec.json.encode(found))
    for name, value in found.figures.items():
        print(f"{name} {value:.6g}")
    for name, why in found.unmeasured.items():
        print(f"{name} was not measured: {why}")
    for line in (*(each.line() for each in found.findings), *found.notes):
        print(line)


if __name__ == "__main__":
    main()
