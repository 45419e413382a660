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


def target_option(function: Command) -> Command:
    """`--target` and `--namespace`."""
    for decorate in (
        click.option("--namespace", default=None, help="The namespace on a cluster; the application's name otherwise."),
        click.option("--target", default="local", show_default=True, help="local, or a context of the kubeconfig."),
    ):
        function = decorate(function)
    return function


def provider_options(function: Command) -> Command:
    """What a run on a cluster may be told."""
    for decorate in (
        click.option("--prefer", multiple=True, metavar="PROVIDER", help="Rather this, such as jobset or podgroup."),
        click.option("--base", default=None, metavar="IMAGE", help="The image that code is laid upon, on a cluster."),
        click.option(
            "--registry", default=None, metavar="HOST/PATH", help="Where a cluster's images, models and results lie."
        ),
    ):
        function = decorate(function)
    return function


def application_file(path: Path) -> Path:
    """The file itself, when its directory was named."""
    return path / FILE if path.is_dir() else path


def state_beside(path: Path, target: str = "local", *, make: bool = False) -> Any:
    """The state directory of an application; `make` makes it beside a file that is there.

    Raises FileError when the application has never been run there, TargetError when it cannot be made.
    """
    from plimsoll.state.directory import LOCAL, StateDirectory

    file = application_file(path)
    state = StateDirectory(file.absolute().parent, target)
    if make and file.exists():
        state.make()
    if not state.root.is_dir():
        there = "here" if target == LOCAL else f"on {target}"
        missing = f"nothing has been run {there}" if file.exists() else "there is no such application file"
        option = "" if target == LOCAL else f" --target {target}"
        hint = f"plimsoll run -f {file}{option}" if file.exists() else "name it with -f"
        raise FileError(missing, where=str(file), hint=hint)
    return state


def site_beside(path: Path, target: str, namespace: str | None) -> Any:
    """The site of an application on a target. Raises FileError when it has never been run there."""
    from plimsoll.application.loading import load
    from plimsoll.engine.sites import Options, site_of

    state_beside(path, target)
    file = load(application_file(path))
    site = site_of(target, file.directory, file.application.metadata.name, Options(namespace=namespace))
    click.get_current_context().call_on_close(site.close)
    return site


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
