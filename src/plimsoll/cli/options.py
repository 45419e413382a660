"""Options and printing that several verbs share."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from plimsoll.cli import completion
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared
    from plimsoll.state.directory import StateDirectory
    from plimsoll.targets.options import TargetOptions
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


def token_option(function: Command) -> Command:
    """`--token-file`: never the token itself, which others could see among the arguments."""
    return click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the token for a service that asks who calls; PLIMSOLL_TOKEN has it otherwise.",
    )(function)


def target_option(function: Command) -> Command:
    """`--target` and `--namespace`."""
    for decorate in (
        click.option(
            "--namespace",
            default=None,
            help="Namespace on the cluster; by default the context's, or the application's.",
        ),
        click.option(
            "--target",
            default=LOCAL,
            show_default=True,
            shell_complete=completion.targets,
            help="local for this machine, a kubeconfig context, or a name of spec.targets. Without it, parts that "
            "name a target are there.",
        ),
    ):
        function = decorate(function)
    return function


def _provider_options(function: Command) -> Command:
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
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        shell_complete=completion.parameters,
        help="Change a parameter of the file for this run.",
    )(function)


def force_option(function: Command) -> Command:
    """`--force STEP`."""
    return click.option(
        "--force",
        "force",
        multiple=True,
        metavar="STEP",
        help="Carry this step out again although its result is there; repeatable.",
    )(function)


@dataclass(frozen=True, kw_only=True)
class AskedRun:
    """What a run, its plan and a sweep are asked alike: which file, on which target, with which parameters."""

    file: Path
    target: str
    namespace: str | None
    registry: str | None
    base: str | None
    prefer: tuple[str, ...]
    settings: tuple[str, ...]
    given: bool
    """Whether the target was named: otherwise each part of the file is on the target that it names."""

    @property
    def where(self) -> str | None:
        """The target of all steps; None for where the file says."""
        return self.target if self.given else None

    @property
    def path(self) -> Path:
        """The application file."""
        return application_file(self.file)

    def options(self, *, unbarred: bool = False) -> TargetOptions:
        """What the target is told."""
        from plimsoll.targets.options import TargetOptions

        return TargetOptions(
            namespace=self.namespace,
            registry=self.registry,
            base=self.base,
            prefer=self.prefer,
            unbarred=unbarred,
        )

    def prepared(self, steps: Sequence[str], force: Sequence[str], *, unbarred: bool = False) -> Prepared:
        """The plan of some steps; its target is closed with the command.

        With `unbarred` it is also given where it could not run, as if the caller had every right.
        """
        from plimsoll.engine.preparation import prepare

        options, settings = self.options(unbarred=unbarred), self.settings
        found = prepare(
            self.path, self.where, options, settings=settings, steps=steps, force=force, must_fit=not unbarred
        )
        click.get_current_context().call_on_close(found.target.close)
        return found


def run_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """`-f`, `--target`, `--set` and the options for clusters, which the command gets as one value: `asked`."""

    @functools.wraps(function)
    def command(
        *,
        file: Path,
        target: str,
        namespace: str | None,
        registry: str | None,
        base: str | None,
        prefer: tuple[str, ...],
        settings: tuple[str, ...],
        **others: object,
    ) -> int | None:
        asked = AskedRun(
            file=file,
            target=target,
            namespace=namespace,
            registry=registry,
            base=base,
            prefer=prefer,
            settings=settings,
            given=target_is_given(),
        )
        return function(asked=asked, **others)

    return file_option(target_option(_provider_options(settings_option(command))))


def target_is_given() -> bool:
    """Whether the command line names a target."""
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source("target") is not ParameterSource.DEFAULT


def application_file(path: Path) -> Path:
    """The application file of a path that names the file or its directory."""
    return path / FILE if path.is_dir() else path


def application_state(path: Path, target: str = LOCAL, *, make: bool = False) -> StateDirectory:
    """The state directory of an application; `make` creates it next to an existing file.

    Raises FileError when the application has never run on the target, TargetError when it cannot be created.
    """
    from plimsoll.state.directory import StateDirectory

    file = application_file(path)
    state = StateDirectory(file.absolute().parent, _target_named(file, target))
    if make and file.exists():
        state.make()
    if not state.root.is_dir():
        missing = (
            f"the application has not run {on_target(target)} yet" if file.exists() else "no such application file"
        )
        hint = run_command(file, target) if file.exists() else "name the file with -f"
        raise FileError(missing, where=str(file), hint=hint)
    return state


def kept_path(file: Path, path: Path) -> Path:
    """Where a path is that the caller names: what is kept encrypted is open in another place than below `.plimsoll`.

    Raises KeyProblem, SealedDamaged and TargetError for what cannot be opened.
    """
    from plimsoll.state.directory import NAME, StateDirectory

    beside = application_file(file).absolute().parent
    if path.exists() or not path.absolute().is_relative_to(beside / NAME):
        return path
    return StateDirectory(beside).found(path)


def _target_named(file: Path, name: str) -> str:
    """The target that a name stands for; what has run is found also where the file cannot be read."""
    if name == LOCAL:
        return name
    from plimsoll.application.targets import target_named
    from plimsoll.errors import PlimsollError
    from plimsoll.kinds.table import KINDS

    try:
        return target_named(KINDS.load(file).application, name)
    except PlimsollError:
        return name


def application_target(
    path: Path, name: str, namespace: str | None = None, *, elsewhere: bool = False, several: bool = False
) -> Target:
    """The target that an application has run on. Raises FileError when it has never run there.

    With `elsewhere`, runs of other directories and machines count too, which a cluster alone knows of. With `several`,
    and no target on the command line, all targets on which the file has parts count together.
    """
    from plimsoll.engine.preparation import target_for
    from plimsoll.kinds.table import KINDS
    from plimsoll.targets.options import TargetOptions

    wide = several and not target_is_given() and application_file(path).exists()
    file = KINDS.load(application_file(path)) if wide else None
    spanning = file is not None and len(KINDS.targets(file)) > 1
    if not elsewhere or (name == LOCAL and not spanning):
        application_state(path, name)
    file = file or KINDS.load(application_file(path))
    target = target_for(file, None if spanning else name, TargetOptions(namespace=namespace))
    click.get_current_context().call_on_close(target.close)
    return target


def on_target(target: str) -> str:
    """The target as a place in a sentence: `on this machine` or `on CONTEXT`."""
    return "on this machine" if target == LOCAL else f"on {target}"


def run_command(
    file: Path, target: str, settings: Sequence[str] = (), steps: Sequence[str] = (), force: Sequence[str] = ()
) -> str:
    """The command line that runs an application on a target."""
    import shlex

    where = "" if target == LOCAL else f" --target {target}"
    words = [*steps, "-f", f"{file}{where}", *(f"--set {shlex.quote(each)}" for each in settings)]
    words += [f"--force {shlex.quote(each)}" for each in force]
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
