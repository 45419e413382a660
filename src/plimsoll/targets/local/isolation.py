"""The processes of an attempt in a sandbox: what they see, what they are given, and what they were refused."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from plimsoll.application.isolation import Isolation
from plimsoll.planning.steps import WorkerResources
from plimsoll.runtime.isolation.bubblewrap import sandboxing
from plimsoll.runtime.isolation.denials import Bounds, refused
from plimsoll.runtime.isolation.seccomp import system_call_filter
from plimsoll.runtime.isolation.variables import inside
from plimsoll.runtime.isolation.view import View, arguments
from plimsoll.state.logs import last_log_lines
from plimsoll.targets.attempt import W
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.levels import settled_here
from plimsoll.targets.local.limits import WorkerLimits
from plimsoll.targets.local.sandbox import Sandbox
from plimsoll.targets.local.seen import Seen, view_of
from plimsoll.targets.local.warden import Warden


class Apart:
    """Where the processes of an attempt are started: in a sandbox, or as plimsoll itself where `view` is None."""

    def __init__(self, warden: Warden, asked: Isolation, view: View | None) -> None:
        self.warden = warden
        self._asked = asked
        self._view = view

    def environment(self, variables: Mapping[str, str]) -> Mapping[str, str]:
        """The variables of a process: of those of plimsoll's own, a strict sandbox gets the ones without secrets."""
        if self._view is None or self._view.whole:
            return variables
        return inside(variables, os.environ, network=self._asked.network, more=self._asked.variables)

    def told(self, log: Path) -> str:
        """What the sandbox has refused a process that failed, with the remedy; empty for nothing."""
        if self._view is None:
            return ""
        reached = isinstance(self.warden, Sandbox) and self.warden.limits.ran_out_of_processes()
        bounds = Bounds(processes=self._asked.processes, processes_reached=reached)
        return refused(last_log_lines(log), self._view, bounds, os.path.lexists)


@contextlib.contextmanager
def kept_apart(attempt: LocalAttempt[W], variables: Mapping[str, str], reads: Sequence[Path] = ()) -> Iterator[Apart]:
    """Where the processes of an attempt are started. Steps of the usual level share a sandbox, which sees no more.

    `variables` are those that they will have: their programs and inputs are seen. `reads` are more files.
    """
    asked = settled_here(attempt.step.isolation)
    outer = attempt.context.warden
    if asked.level == "none":
        yield Apart(outer, asked, None)
        return
    if asked.level == "process" and not asked.reads:
        sandbox, view = attempt.context.sandboxes.shared(lambda: _made(attempt, asked, variables, reads))
        yield Apart(sandbox, asked, view)
        return
    sandbox, view = _made(attempt, asked, variables, reads)
    try:
        yield Apart(sandbox, asked, view)
    finally:
        sandbox.close()


def _made(
    attempt: LocalAttempt[W], asked: Isolation, variables: Mapping[str, str], reads: Sequence[Path]
) -> tuple[Sandbox, View]:
    view = view_of(_seen(attempt, variables, reads), asked)
    strict = not view.whole
    name = f"{attempt.step.key[:16]}-sandbox"
    sandbox = Sandbox(
        attempt.context.warden,
        [sandboxing().program, *arguments(view)],
        mark=f"{attempt.directory}, its sandbox",
        filter_of_calls=system_call_filter(os.uname().machine) if strict else b"",
        limits=WorkerLimits(name, WorkerResources(), processes=asked.processes if strict else None),
    )
    return sandbox, view


def _seen(attempt: LocalAttempt[W], variables: Mapping[str, str], reads: Sequence[Path]) -> Seen:
    state = attempt.context.state
    own = [attempt.directory, *([attempt.checkpoints] if attempt.checkpoints.is_dir() else [])]
    code = [each.name for each in attempt.step.ingredients if each.kind == "code"]
    # Lists that a step has written name its files by the place where it ran.
    keys = [each.key for each in getattr(attempt.work, "inputs", ())]
    results = [path for key in keys for path in (state.output(key), state.work / key)]
    given = [value for name, value in variables.items() if name.startswith("PLIMSOLL_") and value.startswith("/")]
    return Seen(
        directory=attempt.context.directory,
        state=state,
        own=own,
        inputs=[*map(Path, given), *results, *reads, *(attempt.context.directory / name for name in code)],
        search=variables.get("PATH", os.defpath),
    )
