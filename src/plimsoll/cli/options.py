"""What several verbs share: options, and how things are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from plimsoll.errors import FileError

FILE = "plimsoll.yaml"
Command = TypeVar("Command", bound=Callable[..., Any])


def file_option(function: Command) -> Command:
    """`-f FILE`."""
    return click.option(
        "-f",
        "--file",
        "file",
        type=click.Path(path_type=Path),
        default=Path(FILE),
        show_default=True,
        help="The application file, or its directory.",
    )(function)


def json_option(function: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)


def application_file(path: Path) -> Path:
    """The file itself, when its directory was named."""
    return path / FILE if path.is_dir() else path


def state_beside(path: Path) -> Any:
    """The state directory of an application. Raises FileError when the application has never been run."""
    from plimsoll.targets.local.state import StateDirectory

    file = application_file(path)
    state = StateDirectory(file.absolute().parent)
    if not state.root.is_dir():
        missing = "nothing has been run here" if file.exists() else "there is no such application file"
        raise FileError(
            missing, where=str(file), hint=f"plimsoll run -f {file}" if file.exists() else "name it with -f"
        )
    return state


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def width() -> int:
    """Columns to print in."""
    import shutil

    return max(40, min(120, shutil.get_terminal_size((100, 24)).columns))


def use_colour() -> bool:
    """Whether standard output is a terminal that wants colour. Source: no-color.org."""
    import os

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
