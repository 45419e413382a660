"""Moves the traffic of a running service to another version step by step; rolls back when the version is worse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.engine.moves import VersionMoved, record_move
from plimsoll.engine.policies.admission import require_admitted
from plimsoll.engine.promotion.judging import Finding, Judgement, judge, version_sample
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target
from plimsoll.targets.traffic import TrafficMover
from plimsoll.telemetry.version_counts import VersionCounts

POLL_INTERVAL = 0.5
"""Seconds between two looks at the counts."""
INTERRUPTED = "interrupted"


class Pace(Struct, frozen=True, kw_only=True):
    """The pace of a promotion.

    `steps` are ascending percentages of the requests; the last is 100. `requests` is the number that each version must
    answer in a step. `hold` is the minimum and `limit` the maximum of a step in seconds. With `forced`, what a
    comparison says is told and decides nothing, and no requests are waited for.
    """

    steps: Sequence[int] = (5, 25, 50, 100)
    requests: int = 200
    hold: float = 10.0
    limit: float = 600.0
    forced: bool = False


AT_ONCE = Pace(steps=(100,))


class Promotion(Struct, frozen=True, kw_only=True):
    """The outcome of a promotion. `weight` is the percentage of the requests that the new version has now."""

    service: str
    old: str
    new: str
    weight: int
    reason: str
    judgements: tuple[Judgement, ...]

    @property
    def promoted(self) -> bool:
        """Whether the new version gets all requests now."""
        return self.weight == 100


def promote(
    target: Target,
    reference: str,
    *,
    service: str | None,
    pace: Pace,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
    file: Path | None = None,
) -> Promotion:
    """Promote a version into the running service of its model.

    Its policies are those of `file`, or else of the file of the newest run. Raises PolicyRefused when it breaks one,
    ModelRefused when the version may not be served, TargetError when the target cannot move traffic, and
    PlimsollError when no service can take it. An interrupted promotion restores the weights; after a kill, the next
    promotion restores them.
    """
    registry = model_registry(target.state)
    version = registry.find(reference)
    registry.open(version)
    registry.require_servable(version)
    require_admitted(target.state, [version], f"the promotion of {version.reference}", file)
    mover = target.features.require(TRAFFIC)(version.name, service, say, stopped)
    with mover.exclusive() as undone:
        if undone:
            say(f"an earlier promotion into service {mover.service} was interrupted: the weights are restored")
        done = move(mover, registry, version, pace, say, stopped)
    record_promotion(target.state, done, version.name, "promote", forced=pace.forced)
    return done


def record_promotion(state: StateDirectory, done: Promotion, model: str, cause: str, *, forced: bool = False) -> None:
    """Append a promotion or a rollback to the moves of its service. Raises PlimsollError."""
    move = VersionMoved(
        service=done.service,
        model=model,
        old=done.old,
        new=done.new,
        cause=cause,
        moved=done.promoted,
        forced=forced,
        reason=done.reason,
        worse=_lines(finding for judgement in done.judgements for finding in judgement.worse),
        not_compared=_lines(finding for judgement in done.judgements for finding in judgement.not_compared),
    )
    record_move(state, move)


def _lines(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Each finding once, although every step finds it."""
    return tuple(dict.fromkeys(finding.line() for finding in findings))


def move(
    mover: TrafficMover,
    registry: ModelRegistry,
    version: ModelVersion,
    pace: Pace,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> Promotion:
    """Move the requests of a service that is held (`TrafficMover.exclusive`) to another version of its model.

    Whatever ends it, the new version is settled or the old weights are restored. Raises PlimsollError when the version
    has the requests already.
    """
    old = mover.leading()
    if old == str(version.version):
        raise PlimsollError(
            f"service {mover.service} already sends its requests to {version.reference}", where=mover.where
        )
    before = registry.find(f"{version.name}@{old}")
    steps = _Steps(mover, before, version, pace, say, stopped)
    try:
        result = steps.carry_out()
        if result.promoted:
            steps.mover.settle(steps.old, steps.new)
            return result
    except BaseException as error:
        # Whatever it is, an interrupt or a defect too: the requests go back before it is told.
        _restore(steps.mover, error.message if isinstance(error, PlimsollError) else repr(error))
        raise
    _restore(steps.mover, result.reason)
    return result


def _restore(mover: TrafficMover, reason: str) -> None:
    """Undo the promotion. Raises TargetError that says why it was to be undone, and why it could not."""
    try:
        mover.restore()
    except (PlimsollError, OSError) as error:
        said = error.message if isinstance(error, PlimsollError) else str(error)
        raise TargetError(
            f"the promotion has ended ({reason}), and the weights could not be restored: {said}",
            where=mover.where,
            hint="the next plimsoll promote restores them first",
        ) from error


class _Steps:
    """The steps of one promotion: sets weights, reads counts, judges them."""

    def __init__(
        self,
        mover: TrafficMover,
        before: ModelVersion,
        version: ModelVersion,
        pace: Pace,
        say: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.mover = mover
        self.old = str(before.version)
        self.new = str(version.version)
        self._version = version
        self._versions = {self.old: before, self.new: version}
        self._pace = pace
        self._say = say
        self._stopped = stopped
        self._judgements: list[Judgement] = []

    def carry_out(self) -> Promotion:
        """All steps, until one shows that the new version is worse."""
        self.mover.add(self.old, self.new)
        for weight in self._pace.steps[:-1]:
            problem = self._step(weight)
            if problem:
                return self._ended(0, problem)
            for finding in self._judgements[-1].findings:
                self._say(f"  {finding.line()}")
        if not self._stopped():
            self._weigh(100)
        # A change that was stopped half way is none.
        return self._ended(0, INTERRUPTED) if self._stopped() else self._ended(100, self._outcome())

    def _outcome(self) -> str:
        """Why the new version keeps all requests."""
        worse = _lines(finding for judgement in self._judgements for finding in judgement.worse)
        if not self._pace.forced:
            return "no worse at any step"
        said = f"although it is worse: {'; '.join(worse)}" if worse else "and nothing was found to be worse"
        return f"forced, whatever the comparison says, {said}"

    def _step(self, weight: int) -> str:
        """One weight, held until both versions have answered enough; gives why the promotion ends, or nothing."""
        if self._stopped():
            # The new version may not even be loaded: whoever adds it waits for nothing then.
            return INTERRUPTED
        self._weigh(weight)
        base = self._counts()
        began = time.monotonic()
        while True:
            time.sleep(POLL_INTERVAL)
            judgement = self._judge_now(base)
            passed = time.monotonic() - began
            if judgement.worse and not self._pace.forced:
                self._judgements.append(judgement)
                return "; ".join(finding.line() for finding in judgement.worse)
            if self._stopped():
                return INTERRUPTED
            if (judgement.enough or self._pace.forced) and passed >= self._pace.hold:
                self._judgements.append(judgement)
                return ""
            if passed >= self._pace.limit:
                self._judgements.append(judgement)
                return f"a version got fewer than {self._pace.requests} requests within {self._pace.limit:g} s"

    def _weigh(self, weight: int) -> None:
        self.mover.weigh(self.old, self.new, weight)
        self._say(f"{weight} % of the requests go to {self._version.name}@{self.new}")

    def _counts(self) -> Mapping[str, VersionCounts]:
        return self.mover.counts((self.old, self.new))

    def _judge_now(self, base: Mapping[str, VersionCounts]) -> Judgement:
        now = self._counts()
        old, new = (
            version_sample(now[each], base[each], known.metrics, known.lineage.data)
            for each, known in self._versions.items()
        )
        # Successive looks within a step see nearly the same counts, so each step counts as four looks.
        looks = 4 * len(self._pace.steps)
        return judge(old, new, accept=self._version.accept, least=self._pace.requests, looks=looks)

    def _ended(self, weight: int, reason: str) -> Promotion:
        return Promotion(
            service=self.mover.service,
            old=self.old,
            new=self.new,
            weight=weight,
            reason=reason,
            judgements=tuple(self._judgements),
        )
