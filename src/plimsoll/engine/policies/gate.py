"""Policies along a run: what is known is judged before it begins, the rest before the step that needs it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.engine.policies.gathering import Gatherer
from plimsoll.engine.policies.judging import judge_all
from plimsoll.engine.policies.uses import has_environment, uses_of
from plimsoll.errors import PlimsollError
from plimsoll.evidence.run_events import PoliciesJudged, PolicyFinding
from plimsoll.planning.steps import AnyStep
from plimsoll.policy.findings import Judged, PolicyRefused, require_passed, stopping

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared

MOST_RECORDED = 200
"""Findings of one event of the journal."""


class Judgement(Struct, frozen=True, kw_only=True):
    """What goes into the journal, and why it does not go on; None when it does."""

    event: PoliciesJudged
    refusal: PlimsollError | None = None


class PolicyGate:
    """The policies of one run. `judge` may be called from several threads."""

    def __init__(self, prepared: Prepared) -> None:
        self._file = prepared.file
        self._gatherer = Gatherer(prepared.file, prepared.kinds, prepared.plan, prepared.state)
        self._lock = threading.Lock()

    def judge_plan(self) -> tuple[Judged, ...]:
        """What is known before anything begins, judged. Raises FileError for policies that cannot be read."""
        return judge_all(self._gatherer.policies, self._gatherer.of_plan(), self._file.directory, "the plan")

    def opening(self) -> PoliciesJudged:
        """The judgement of the plan for the journal. Raises PolicyRefused for a plan that breaks a policy."""
        found = self.judge_plan()
        require_passed(found, "the run")
        return recorded("plan", found)

    def judge(self, step: AnyStep) -> Judgement | None:
        """Judge what a step needs that was not there when the run began; None for one that needs nothing of it."""
        if not uses_of(step) and not has_environment(step):
            return None
        with self._lock:
            try:
                facts = self._gatherer.of_step(step)
                found = judge_all(self._gatherer.policies, facts, self._file.directory, step.name)
                require_passed(found, step.name)
            except PolicyRefused as refused:
                return Judgement(event=recorded(step.name, found), refusal=refused)
        return Judgement(event=recorded(step.name, found))


def gate_of(prepared: Prepared) -> PolicyGate | None:
    """The policies of a run; None where the file has none."""
    return PolicyGate(prepared) if prepared.file.application.policies.any else None


def recorded(stage: str, found: Sequence[Judged]) -> PoliciesJudged:
    """Findings as the journal has them, those that stop first."""
    first = stopping(found)
    ordered = [*first, *(each for each in found if each not in first)]
    return PoliciesJudged(
        stage=stage,
        findings=tuple(
            PolicyFinding(
                gate=each.gate,
                about=each.about,
                verdict=each.verdict,
                reason=each.reason,
                remedy=each.remedy,
                where=each.where,
            )
            for each in ordered[:MOST_RECORDED]
        ),
        left_out=max(0, len(ordered) - MOST_RECORDED),
    )
