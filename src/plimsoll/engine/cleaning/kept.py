"""What the runs that are kept need, by their journals and results."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

from msgspec import Struct

from plimsoll.engine.run_comparison import planned_run
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.run_events import PlannedStep, RunPlanned
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.serve import Serve
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.state.lock import holder


class Kept(Struct, frozen=True, kw_only=True):
    """What is needed on one target: runs by their ids, results by their keys, services by their names.

    `versions` has the digests of the versions that these runs registered, `code` those of the files that they ran.
    `targets` are those on which runs over several had steps.
    """

    runs: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()


def kept_of(state: StateDirectory, keep: int, used: Collection[str] = ()) -> Kept:
    """What the newest `keep` runs need, the one under way, and those of `used`.

    Raises TargetError while a run is under way whose plan is not known, and PlimsollError for a journal of a run to
    keep that cannot be read: nobody knows then what it needs.
    """
    known = state.run_ids()
    runs = {*known[len(known) - min(keep, len(known)) :], *(run for run in used if run in known)}
    who = holder(state.lock)
    if who is not None:
        runs.add(who.run)
    steps: list[PlannedStep] = []
    for run in sorted(runs):
        planned = planned_run(state, run) if run in known else None
        if planned is None and who is not None and run == who.run:
            message = f"run {run} has just begun, and has no plan yet"
            raise TargetError(message, where=str(state.lock), hint="try again in a moment")
        steps += planned.steps if planned is not None else ()
    return Kept(
        runs=frozenset(runs),
        keys=frozenset(step.key for step in steps),
        services=frozenset(step.name.partition("/")[2] for step in steps if step.name.startswith(f"{Serve.verb}/")),
        versions=frozenset(_versions(state, steps)),
        code=frozenset(digest for step in steps for kind, _, digest in step.ingredients if kind == "code"),
        targets=frozenset(step.target for step in steps if step.target),
    )


def states_beside(state: StateDirectory) -> Iterator[StateDirectory]:
    """The state directories of the same application's runs on other targets."""
    targets = state.registry.parent / "targets"
    names = [LOCAL, *(path.name for path in sorted(targets.iterdir()))] if targets.is_dir() else [LOCAL]
    for name in names:
        other = StateDirectory(state.application, name)
        if other.root != state.root and other.runs.is_dir():
            yield other


def planned_runs(state: StateDirectory) -> Iterator[RunPlanned]:
    """What each run of a target began with that can be read, newest first."""
    for run in reversed(state.run_ids()):
        with contextlib.suppress(PlimsollError):
            if planned := planned_run(state, run):
                yield planned


def _versions(state: StateDirectory, steps: Collection[PlannedStep]) -> Iterator[str]:
    for step in steps:
        verb = step.name.partition("/")[0]
        if verb in {Register.verb, ReleaseIndex.verb} and (
            result := state.on(step.target).result(step.key, RegisterResult)
        ):
            yield result.digest
