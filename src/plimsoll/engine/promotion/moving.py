"""Moves the weight of a running service to another version, step by step, and back when it is worse."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.engine.promotion.counts import VersionCounts, side, versions_at
from plimsoll.engine.promotion.judging import Judgement, judge
from plimsoll.engine.promotion.keeping import Kept
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.runtime.server.traffic import Share
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.models import model_for_use, model_registry
from plimsoll.targets.local.servers import RunningService, announce, model_file, running_services

LOOK = 0.5
"""Seconds between two looks at the counts."""
LOAD_LIMIT = 120.0
"""Seconds within which the service must have loaded the new version."""


class Pace(Struct, frozen=True, kw_only=True):
    """How a promotion goes on.

    `steps` are per cent of the requests, ascending, the last 100. `requests` is how many each version must have
    answered at a step, `hold` the least and `limit` the most seconds of a step.
    """

    steps: Sequence[int] = (5, 25, 50, 100)
    requests: int = 200
    hold: float = 10.0
    limit: float = 600.0


class Promotion(Struct, frozen=True, kw_only=True):
    """How it ended. `weight` is what the new version has now, in per cent."""

    service: str
    old: str
    new: str
    weight: int
    reason: str
    judgements: tuple[Judgement, ...]

    @property
    def promoted(self) -> bool:
        """Whether the new version has all requests now."""
        return self.weight == 100


def promote(
    state: StateDirectory,
    reference: str,
    *,
    service: str | None,
    pace: Pace,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Promotion:
    """Promote a version into the running service of its model.

    Raises ModelRefused when the version may not be served, PlimsollError when there is nothing to promote it into.
    Whatever interrupts it, the weights are put back unless it has got to the end; when it is killed, by the next one.
    """
    version, path = model_for_use(state, reference, None)
    up = _service_of(running_services(state), version.name, service)
    kept = Kept(Path(up.service_file))
    with kept.alone():
        _put_back(up, kept, say)
        before = read_service_file(kept.file)
        old, new = _leading(before, version.name), str(version.version)
        if old == new:
            raise PlimsollError(f"{version.reference} has the requests of service {up.name} already", where=up.url)
        known = [each for each in before.models if (each.name, each.version) != (version.name, new)]
        start = replace(before, models=(*known, model_file(version, path)))
        mover = _Mover(up, kept, start, version.name, old, new)
        metrics = {old: model_registry(state).find(f"{version.name}@{old}").metrics, new: version.metrics}
        kept.begin()
        done = False
        try:
            mover.weigh(0)
            mover.wait_until_there()
            result = _step_by_step(mover, pace, metrics, version.accept, say, stopped)
            done = result.promoted
            if done:
                announce(state, replace(up, version=version.version))
            return result
        finally:
            if not done:
                mover.restore(before)
            kept.end()


def _put_back(up: RunningService, kept: Kept, say: Callable[[str], None]) -> None:
    """Undo what a promotion that was killed has left."""
    if (before := kept.cut_off()) is not None:
        _give(up, kept, before)
        say(f"an earlier promotion into service {up.name} was cut off: its weights are put back")
    kept.end()


def _give(up: RunningService, kept: Kept, content: bytes) -> None:
    kept.write(content)
    try:
        os.kill(up.pid, signal.SIGHUP)
    except ProcessLookupError as error:
        raise TargetError(f"service {up.name} has ended", where=up.url, hint="plimsoll status") from error


def _step_by_step(
    mover: _Mover,
    pace: Pace,
    metrics: Mapping[str, Mapping[str, float]],
    accept: Mapping[str, str],
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> Promotion:
    judgements: list[Judgement] = []

    def ended(weight: int, reason: str) -> Promotion:
        return Promotion(
            service=mover.up.name,
            old=mover.old,
            new=mover.new,
            weight=weight,
            reason=reason,
            judgements=tuple(judgements),
        )

    for weight in pace.steps[:-1]:
        mover.weigh(weight)
        say(f"{weight} % of the requests go to {mover.model}@{mover.new}")
        base = mover.counts()
        began = time.monotonic()
        while True:
            time.sleep(LOOK)
            judgement = _look(mover, base, metrics, accept, pace)
            passed = time.monotonic() - began
            if judgement.worse:
                judgements.append(judgement)
                return ended(0, "; ".join(finding.words() for finding in judgement.worse))
            if stopped():
                return ended(0, "interrupted")
            if judgement.enough and passed >= pace.hold:
                break
            if passed >= pace.limit:
                judgements.append(judgement)
                return ended(0, f"fewer than {pace.requests} requests to each version within {pace.limit:g} s")
        judgements.append(judgement)
        for finding in judgement.findings:
            say(f"  {finding.words()}")
    mover.weigh(100)
    say(f"100 % of the requests go to {mover.model}@{mover.new}")
    return ended(100, "no worse at any step")


def _look(
    mover: _Mover,
    base: dict[str, VersionCounts],
    metrics: Mapping[str, Mapping[str, float]],
    accept: Mapping[str, str],
    pace: Pace,
) -> Judgement:
    now = mover.counts()
    old, new = (
        side(now[version], base.get(version, VersionCounts()), metrics[version]) for version in (mover.old, mover.new)
    )
    # Looks between the first and the last of a step see nearly the same counts; four for each are counted.
    return judge(old, new, accept=accept, least=pace.requests, looks=4 * len(pace.steps))


class _Mover:
    """The service file, and the server that reads it."""

    def __init__(self, up: RunningService, kept: Kept, content: ServiceFile, model: str, old: str, new: str) -> None:
        self.up = up
        self.model = model
        self.old = old
        self.new = new
        self._kept = kept
        self._content = content

    def weigh(self, weight: int) -> None:
        """Give the new version so many per cent."""
        shares = (Share(version=self.old, weight=100 - weight), Share(version=self.new, weight=weight))
        others = [
            share for share in self._content.traffic.get(self.model, ()) if share.version not in (self.old, self.new)
        ]
        kept = [replace(share, weight=0) for share in others if share.headers or share.shadow]
        traffic = {**self._content.traffic, self.model: (*shares, *kept)}
        self._give(replace(self._content, traffic=traffic))

    def restore(self, content: ServiceFile) -> None:
        """Everything as it was."""
        with contextlib.suppress(TargetError):
            self._give(content)

    def wait_until_there(self) -> None:
        """Raises TargetError when the service has not loaded the new version in time."""
        deadline = time.monotonic() + LOAD_LIMIT
        while not self.counts()[self.new].there:
            if time.monotonic() > deadline:
                raise TargetError(
                    f"the service has not loaded {self.model}@{self.new} within {LOAD_LIMIT:g} s",
                    where=self.up.url,
                    hint=f"its log says why: plimsoll logs {self.up.name}",
                )
            time.sleep(LOOK)

    def counts(self) -> dict[str, VersionCounts]:
        """What both versions have done so far."""
        found = versions_at(self.up.url, self.model)
        return {version: found.get(version, VersionCounts()) for version in (self.old, self.new)}

    def _give(self, content: ServiceFile) -> None:
        _give(self.up, self._kept, msgspec.json.encode(content))


def _service_of(up: dict[str, RunningService], model: str, name: str | None) -> RunningService:
    fitting = {each.name: each for each in up.values() if each.model == model and each.service_file}
    if name is not None:
        fitting = {key: each for key, each in fitting.items() if key == name}
    if not fitting:
        raise PlimsollError(
            f"no service of model {model} is up{f' by the name {name}' if name else ''}",
            hint="start it with plimsoll run --watch",
        )
    if len(fitting) > 1:
        raise PlimsollError(f"several services have model {model}", hint=f"say --service: {', '.join(fitting)}")
    return next(iter(fitting.values()))


def _leading(content: ServiceFile, model: str) -> str:
    """The version that has most of the requests."""
    shares = content.traffic.get(model, ())
    if shares:
        return max(shares, key=lambda share: share.weight).version
    return max((file.version for file in content.models if file.name == model), key=int)
