"""What several verbs share: options, and how things are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.state.directory import StateDirectory
    from plimsoll.targets.port import Target

LOCAL = "local"
"""The default of `--target`; see `plimsoll.targets.table`."""

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
        click.option("--target", default=LOCAL, show_default=True, help="local, or a context of the kubeconfig."),
    ):
        function = decorate(function)
    return function


def provider_options(function: Command) -> Command:
    """Options of a run on a cluster."""
    for decorate in (
        click.option(
            "--prefer", multiple=True, metavar="PROVIDER", help="Prefer this provider, for example jobset or podgroup."
        ),
        click.option("--base", default=None, metavar="IMAGE", help="Base image for the layers of your code."),
        click.option(
            "--registry",
            default=None,
            metavar="HOST/PATH",
            help="Registry for images, models and results, reached by nodes, pods and this machine.",
        ),
    ):
        function = decorate(function)
    return function


def application_file(path: Path) -> Path:
    """The file itself, when its directory was named."""
    return path / FILE if path.is_dir() else path


def state_beside(path: Path, target: str = LOCAL, *, make: bool = False) -> StateDirectory:
    """The state directory of an application; `make` makes it beside a file that is there.

    Raises FileError when the application has never been run there, TargetError when it cannot be made.
    """
    from plimsoll.state.directory import StateDirectory

    file = application_file(path)
    state = StateDirectory(file.absolute().parent, target)
    if make and file.exists():
        state.make()
    if not state.root.is_dir():
        missing = f"nothing has been run {on_target(target)}" if file.exists() else "there is no such application file"
        hint = run_command(file, target) if file.exists() else "name it with -f"
        raise FileError(missing, where=str(file), hint=hint)
    return state


def target_beside(path: Path, name: str, namespace: str | None = None) -> Target:
    """The target of an application that has been run there. Raises FileError when it has not."""
    from plimsoll.engine.preparation import target_for
    from plimsoll.kinds.table import KINDS
    from plimsoll.targets.options import TargetOptions

    state_beside(path, name)
    target = target_for(KINDS.load(application_file(path)), name, TargetOptions(namespace=namespace))
    click.get_current_context().call_on_close(target.close)
    return target


def on_target(target: str) -> str:
    """Where something is, in words: `here` for this machine."""
    return "here" if target == LOCAL else f"on {target}"


def run_command(file: Path, target: str) -> str:
    """The command line that runs an application on a target."""
    return f"plimsoll run -f {file}{'' if target == LOCAL else f' --target {target}'}"


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
