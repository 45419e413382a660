"""Options and printing that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.state.directory import StateDirectory
    from plimsoll.targets.port import Target

LOCAL = "local"
"""The default of `--target`; see `plimsoll.targets.table`."""

FILE = "plimsoll.yaml"
Command = TypeVar("Command", bound=Callable[..., object])


def file_option(function: Command) -> Command:
    """`-f FILE`."""
    return click.option(
        "-f",
        "--file",
        "file",
        type=click.Path(path_type=Path),
        default=Path(FILE),
        show_default=True,
        help="Application file, or its directory.",
    )(function)


def json_option(function: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)


def target_option(function: Command) -> Command:
    """`--target` and `--namespace`."""
    for decorate in (
        click.option(
            "--namespace",
            default=None,
            help="Namespace on the cluster; by default the context's, or the application's.",
        ),
        click.option(
            "--target", default=LOCAL, show_default=True, help="local for this machine, or a kubeconfig context."
        ),
    ):
        function = decorate(function)
    return function


def provider_options(function: Command) -> Command:
    """Options for a run on a cluster: `--registry`, `--base` and `--prefer`."""
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


def settings_option(function: Command) -> Command:
    """`--set NAME=VALUE`."""
    return click.option(
        "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter of the file for this run."
    )(function)


def application_file(path: Path) -> Path:
    """The application file of a path that names the file or its directory."""
    return path / FILE if path.is_dir() else path


def application_state(path: Path, target: str = LOCAL, *, make: bool = False) -> StateDirectory:
    """The state directory of an application; `make` creates it next to an existing file.

    Raises FileError when the application has never run on the target, TargetError when it cannot be created.
    """
    from plimsoll.state.directory import StateDirectory

    file = application_file(path)
    state = StateDirectory(file.absolute().parent, target)
    if make and file.exists():
        state.make()
    if not state.root.is_dir():
        missing = (
            f"the application has not run {on_target(target)} yet" if file.exists() else "no such application file"
        )
        hint = run_command(file, target) if file.exists() else "name the file with -f"
        raise FileError(missing, where=str(file), hint=hint)
    return state


def application_target(path: Path, name: str, namespace: str | None = None, *, elsewhere: bool = False) -> Target:
    """The target that an application has run on. Raises FileError when it has never run there.

    With `elsewhere`, runs of other directories and machines count too, which a cluster alone knows of.
    """
    from plimsoll.engine.preparation import target_for
    from plimsoll.kinds.table import KINDS
    from plimsoll.targets.options import TargetOptions

    if not elsewhere or name == LOCAL:
        application_state(path, name)
    target = target_for(KINDS.load(application_file(path)), name, TargetOptions(namespace=namespace))
    click.get_current_context().call_on_close(target.close)
    return target


def on_target(target: str) -> str:
    """The target as a place in a sentence: `on this machine` or `on CONTEXT`."""
    return "on this machine" if target == LOCAL else f"on {target}"


def run_command(file: Path, target: str, settings: Sequence[str] = (), steps: Sequence[str] = ()) -> str:
    """The command line that runs an application on a target."""
    import shlex

    where = "" if target == LOCAL else f" --target {target}"
    words = [*steps, "-f", f"{file}{where}", *(f"--set {shlex.quote(each)}" for each in settings)]
    return " ".join(["plimsoll run", *words])


def print_json(value: object) -> None:
    """Print one JSON object on standard output."""
    from plimsoll.encoding import json_for_people

    sys.stdout.write(json_for_people(value).decode() + "\n")
    sys.stdout.flush()


def width() -> int:
    """The width of the output in columns, from 40 to 120."""
    import shutil

    return max(40, min(120, shutil.get_terminal_size((100, 24)).columns))


def use_colour() -> bool:
    """Whether standard output is a terminal that allows colour. Source: no-color.org."""
    import os

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
