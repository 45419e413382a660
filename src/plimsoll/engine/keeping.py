"""Has services kept up apart from runs: which versions they begin with, and what must be run before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.application.shape import suggest_name
from plimsoll.engine.moves import VersionMoved, moves_of, newest_offered, record_move
from plimsoll.engine.policies.admission import require_up
from plimsoll.engine.preparation import Prepared
from plimsoll.errors import FileError, TargetError
from plimsoll.kinds.serve import ModelShare, Serve, ServeResult
from plimsoll.kinds.service import SERVICES
from plimsoll.planning.steps import Step
from plimsoll.state.directory import LOCAL
from plimsoll.targets.features import KEEP, KeptService
from plimsoll.targets.models import model_registry
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion

TICK = 0.1
ANSWER_LIMIT = 720.0
"""Seconds that a service has to answer: its drift reference may be made first, which runs the model on a table."""


class Beginning(Struct, frozen=True, kw_only=True):
    """Services that can be kept up now, with their versions by number, and those of which no version is accepted."""

    ready: tuple[Step[Serve], ...]
    untrained: tuple[str, ...]


def services_of(prepared: Prepared, names: Sequence[str]) -> list[Step[Serve]]:
    """The steps of the named services, or of all that are on this machine.

    Raises FileError for a name that is none, for a service on another target, and without services.
    """
    serving = (cast("Step[Serve]", step) for step in prepared.plan.steps if isinstance(step.work, Serve))
    steps = {step.work.service: step for step in serving}
    if not steps:
        raise FileError("the file has no services", where=str(prepared.file.path), hint="add one under spec.services")
    for name in names:
        if name not in steps:
            raise FileError(f"there is no service '{name}'", where="SERVICE", hint=suggest_name(name, list(steps)))
    elsewhere = {name: step.target for name, step in steps.items() if step.target not in ("", LOCAL)}
    if away := next((name for name in names if name in elsewhere), None):
        there = prepared.plan.names.get(elsewhere[away], elsewhere[away])
        hint = "plimsoll run brings it up there, where it stays up"
        raise FileError(f"service '{away}' is on {there}", where="SERVICE", hint=hint)
    here = [step for name, step in steps.items() if name not in elsewhere and (not names or name in names)]
    if not here:
        hint = "plimsoll run brings them up where the file has them, and they stay up there"
        raise FileError("no service of the file is on this machine", where=str(prepared.file.path), hint=hint)
    return here


def beginning(prepared: Prepared, steps: Sequence[Step[Serve]]) -> Beginning:
    """Choose the versions that services begin with. Raises FileError for a port that another process has."""
    keeper = prepared.target.features.require(KEEP)
    state = prepared.state
    up = {name for name, each in keeper.kept().items() if each.state == "up"}
    ready, untrained = [], []
    for step in steps:
        work = step.work
        if problem := keeper.address_problem(work):
            hint = "end that process, or give the service another port"
            raise prepared.file.error(problem, hint, *SERVICES.place(step.part), "port")
        if not work.model:
            # What has no version of its own is as its run has tested it.
            tested = state.result(step.key, ServeResult) is not None
            ready.extend([step] if tested else [])
            untrained.extend([] if tested else [step.part])
            continue
        registry = model_registry(state)
        named = {share.model for share in work.shares or (ModelShare(model=work.model),)}
        chosen: dict[str, str] = {}
        for reference in named:
            if "@" in reference:
                chosen[reference] = registry.find(reference).reference
                continue
            accepted = [version for version in registry.versions(reference) if version.accepted]
            leading = keeper.leading(step.part) if work.follows else None
            offered = newest_offered(state, step.part, reference)
            # One that is up moves to another version as one does that is not begun anew: see `taking_over`.
            waits = work.rollout == "promote" or step.part in up
            version = chosen_version(accepted, leading, offered, waits=waits)
            if version is not None:
                chosen[reference] = f"{reference}@{version}"
        if len(chosen) < len(named):
            untrained.append(step.part)
        else:
            ready.append(replace(step, work=_pinned(work, chosen)))
    return Beginning(ready=tuple(ready), untrained=tuple(untrained))


def chosen_version(accepted: Sequence[ModelVersion], leading: str | None, offered: int, *, waits: bool) -> int | None:
    """The version that a service begins with: where it was before, unless there is an accepted one that it never had.

    `leading` is the version of before, `offered` the newest that it had; with `waits`, newer ones wait for their
    promotion. `None` without an accepted version. Pure.
    """
    numbers = [version.version for version in accepted]
    if not numbers:
        return None
    before = int(leading) if leading and leading.isdigit() and int(leading) in numbers else None
    if before is None or (not waits and max(numbers) > offered):
        return max(numbers)
    return before


def keep_up(prepared: Prepared, ready: Sequence[Step[Serve]], asked: Sequence[Step[Serve]]) -> None:
    """Have the services kept up, and record what is new of their versions.

    Raises PolicyRefused for a version that breaks a policy of the file.
    """
    require_up(prepared, ready)
    keeper = prepared.target.features.require(KEEP)
    before = {step.part: keeper.leading(step.part) for step in ready}
    keeper.keep(ready, {step.part: step.work for step in asked})
    for step in ready:
        model, _, version = step.work.model.partition("@")
        if not model:
            continue
        old = before[step.part] or ""
        if old != version or not moves_of(prepared.state, step.part):
            old = "" if old == version else old
            move = VersionMoved(service=step.part, model=model, old=old, new=version, cause="up")
            record_move(prepared.state, move)


def await_services(
    prepared: Prepared,
    names: Sequence[str],
    stopped: Callable[[], bool],
    tell: Callable[[str, KeptService], None],
) -> Mapping[str, KeptService]:
    """Wait until the services are up or have failed; `tell` gets each once. What is there when `stopped` says so."""
    keeper = prepared.target.features.require(KEEP)
    told: set[str] = set()
    deadline = time.monotonic() + ANSWER_LIMIT
    with waiting_for(lambda: f"{', '.join(name for name in names if name not in told)} to answer"):
        while True:
            kept = keeper.kept()
            for name in names:
                if name in kept and name not in told and kept[name].state != "starting":
                    told.add(name)
                    tell(name, kept[name])
            if len(told) == len(names) or stopped():
                return {name: each for name, each in kept.items() if name in names}
            if time.monotonic() > deadline:
                missing = ", ".join(name for name in names if name not in told)
                raise TargetError(f"{missing} did not answer within {ANSWER_LIMIT:g} s", hint="see plimsoll status")
            time.sleep(TICK)


def same_server(first: Serve, second: Serve) -> bool:
    """Whether one server can do for both: they differ in the versions that it serves at most."""
    return _without_versions(first) == _without_versions(second)


def _without_versions(work: Serve) -> Serve:
    return replace(work, model="", register_key=None, shares=(), rollout="accepted")


def _pinned(work: Serve, chosen: Mapping[str, str]) -> Serve:
    """The work with every version by its number."""
    shares = tuple(replace(share, model=chosen[share.model], register_key=None) for share in work.shares)
    return replace(work, model=chosen[work.model], register_key=None, shares=shares)
