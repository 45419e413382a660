"""What a service did in a run: requests and latency over time, alarms of drift. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from plimsoll.report.contents import duration
from plimsoll.state.curves import Point
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.telemetry.version_counts import VersionCounts, latency_bound

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
    """One service. `elsewhere` names the target of one that is not on this machine; `running` is its address while it
    runs here. `requests` are those in its access log, oldest first.

    `logged` is false when the service keeps no access log on this machine: then only `counts` of its server, by
    version, are known, and only while it runs.
    """

    name: str
    model: str
    latency_ms: float
    seconds_to_ready: float
    began: datetime | None = None
    until: datetime | None = None
    running: str = ""
    elsewhere: str = ""
    logged: bool = False
    shortened: bool = False
    requests: tuple[Request, ...] = ()
    counts: Mapping[str, VersionCounts] = {}
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

    def counted(self) -> list[str]:
        """A sentence for each version that the server has counted answers of."""
        return [
            f"{name} has answered {sum(counts.codes.values()):.0f} requests since its server started"
            f"{_errors(counts.codes)}{_latency(counts.latencies)}."
            for name, counts in self.counts.items()
            if sum(counts.codes.values())
        ]

    def shares(self) -> dict[str, int]:
        """The number of requests by version, most first."""
        found: dict[str, int] = {}
        for each in self.requests:
            name = f"{each.model}@{each.version}" if each.version else each.model or "no model"
            found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def _errors(codes: Mapping[str, float]) -> str:
    """The answers that were none, by status; empty when there are none."""
    found = [f"{count:.0f} with {code}" for code, count in sorted(codes.items()) if code != "200" and count]
    return f", of these {', '.join(found)}" if found else ""


def _latency(latencies: Mapping[float, float]) -> str:
    told = [
        f"{share * 100:g} % within {duration(bound)}"
        for share in (0.5, 0.99)
        if (bound := latency_bound(latencies, share)) is not None and math.isfinite(bound)
    ]
    return f"; {', '.join(told)}" if told else ""


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
