"""What a service did in a run: requests and latency over time, alarms of drift. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from plimsoll.state.curves import Point
from plimsoll.telemetry.drift.state import DriftState

MOST_BINS = 60
"""Points of a curve over the time of a service."""


class Request(Struct, frozen=True):
    """A line of the access log. `seconds` is the latency, `status` that of HTTP."""

    at: datetime
    status: int
    seconds: float
    event: str = "request"
    model: str = ""
    version: str = ""
    shadow: bool = False


class AlarmSpan(Struct, frozen=True, kw_only=True):
    """The time of an alarm of drift; `cleared` is None while it lasts."""

    words: str
    raised: datetime
    cleared: datetime | None = None


class AlarmLine(Struct, frozen=True):
    """What the log of drift says of a change of an alarm."""

    at: datetime
    event: str
    words: str
    alarm: Mapping[str, object] = {}
    version: str = ""


class ServiceReport(Struct, frozen=True, kw_only=True):
    """One service. `running` is its address while it runs. `requests` are those in its access log, oldest first.

    `logged` is false when the service keeps no access log on this machine: then nothing is known of its requests.
    """

    name: str
    model: str
    latency_ms: float
    seconds_to_ready: float
    began: datetime | None = None
    until: datetime | None = None
    running: str = ""
    logged: bool = False
    shortened: bool = False
    requests: tuple[Request, ...] = ()
    drift: tuple[DriftState, ...] = ()
    alarms: tuple[AlarmSpan, ...] = ()

    @property
    def failed(self) -> int:
        """Requests that the service answered with an error of its own."""
        return sum(each.status >= 500 for each in self.requests)

    @property
    def refused(self) -> int:
        """Requests that were wrong."""
        return sum(400 <= each.status < 500 for each in self.requests)

    def shares(self) -> dict[str, int]:
        """The number of requests by version, most first."""
        found: dict[str, int] = {}
        for each in self.requests:
            name = f"{each.model}@{each.version}" if each.version else each.model or "no model"
            found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of sorted values does not exceed."""
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def over_time(requests: Sequence[Request]) -> dict[str, tuple[Point, ...]]:
    """Curves over minutes since the first request: requests per second, and percentiles of the latency."""
    if not requests:
        return {}
    begin = min(each.at for each in requests)
    whole = max((each.at - begin).total_seconds() for each in requests)
    wide = max(whole / MOST_BINS, 1.0)
    bins: dict[int, list[float]] = {}
    for each in requests:
        bins.setdefault(int((each.at - begin).total_seconds() / wide), []).append(each.seconds * 1000)
    last = max(bins)
    middle = {place: round((place + 0.5) * wide / 60, 3) for place in range(last + 1)}
    traffic = tuple((middle[place], len(bins.get(place, ())) / wide) for place in range(last + 1))
    latency: dict[str, tuple[Point, ...]] = {}
    for name, share in (("p50 latency in ms", 0.5), ("p99 latency in ms", 0.99)):
        latency[name] = tuple((middle[place], quantile(sorted(bins[place]), share)) for place in sorted(bins))
    return {"requests per second": traffic, **latency}


def alarm_spans(lines: Iterable[AlarmLine]) -> tuple[AlarmSpan, ...]:
    """Alarms from their log: each that was raised, with the time when it was cleared."""
    open_: dict[tuple[str, str, str], AlarmSpan] = {}
    done: list[AlarmSpan] = []
    for line in lines:
        key = (line.version, str(line.alarm.get("side", "")), str(line.alarm.get("feature", line.words)))
        before = open_.pop(key, None)
        if before is not None:
            done.append(AlarmSpan(words=before.words, raised=before.raised, cleared=line.at))
        if line.event == "drift-raised":
            open_[key] = AlarmSpan(words=line.words, raised=line.at)
    return tuple(sorted([*done, *open_.values()], key=lambda span: span.raised))
