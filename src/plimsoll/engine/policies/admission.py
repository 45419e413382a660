"""Policies before a version is served by something that stands already: a promotion, a rollback, `up`, a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.engine.policies.gathering import Gatherer
from plimsoll.engine.policies.judging import judge_all
from plimsoll.engine.run_comparison import planned_run
from plimsoll.errors import PlimsollError
from plimsoll.kinds.table import KINDS
from plimsoll.planning.steps import AnyStep
from plimsoll.policy.findings import Judged, require_passed
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared

FILE = "plimsoll.yaml"


def require_admitted(
    state: StateDirectory, versions: Sequence[ModelVersion], what: str, file: Path | None = None
) -> tuple[Judged, ...]:
    """Judge versions that are about to be served. `what` completes "policies forbid …".

    Raises PolicyRefused for one that breaks a policy of the application's file, by default that of its newest run, and
    FileError for a file that cannot be read: what it asks for is not known then.
    """
    path = file or _file_of(state)
    if path is None:
        return ()
    loaded = KINDS.load(path)
    if not loaded.application.policies.any:
        return ()
    KINDS.check(loaded, None)
    gatherer = Gatherer(loaded, KINDS, None, state)
    found: list[Judged] = []
    for version in versions:
        facts = gatherer.of_version(version, "serve")
        found += judge_all(gatherer.policies, facts, loaded.directory, version.reference)
    require_passed(found, what)
    return tuple(found)


def require_up(prepared: Prepared, steps: Sequence[AnyStep]) -> None:
    """Judge services that are about to be kept up, with their versions by number. Raises PolicyRefused."""
    policies = prepared.file.application.policies
    if not policies.any or not steps:
        return
    gatherer = Gatherer(prepared.file, prepared.kinds, replace(prepared.plan, steps=tuple(steps)), prepared.state)
    names = ", ".join(step.part for step in steps)
    require_passed(
        judge_all(policies, gatherer.of_plan(), prepared.file.directory, f"services {names}"), f"services {names}"
    )


def _file_of(state: StateDirectory) -> Path | None:
    """The file of the newest run, or the one of the usual name; None where there is neither."""
    for run in reversed(state.run_ids()):
        try:
            planned = planned_run(state, run)
        except PlimsollError:
            # A damaged journal says nothing; the run before does.
            continue
        if planned is not None and planned.file and Path(planned.file).exists():
            return Path(planned.file)
    usual = state.application / FILE
    return usual if usual.exists() else None
