"""The drift state that a service writes for other processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import decodable


@decodable
class DriftState(Struct, frozen=True, kw_only=True):
    """Alarms in words, and their numbers. `rows` were compared in `windows` windows; `skipped` rows were not compared.

    `changed` is the last time when late labels showed a change in the rate of errors (ADWIN).
    """

    model: str
    version: str
    rows: int
    skipped: int
    windows: int
    alarms: tuple[str, ...] = ()
    scores: Mapping[str, float] = {}
    labels: int = 0
    changed: datetime | None = None

    def lines(self) -> list[str]:
        """Lines for people: each alarm, or the number of rows without an alarm."""
        scores = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.scores.items())
        details = [f"{scores} on {self.labels} labels"] if scores else []
        details += [f"errors changed at {self.changed:%H:%M}"] if self.changed else []
        if self.alarms:
            return [*self.alarms, *details]
        summary = f"no drift in {self.rows} rows" if self.windows else f"drift: {self.rows} rows, too few to judge yet"
        return [summary, *details]


def merge_states(states: Iterable[DriftState]) -> list[DriftState]:
    """Merge the states of several servers into one for each version. Each server has seen a part of the requests.

    The scores are those of the server with the most labels.
    """
    found: dict[tuple[str, str], DriftState] = {}
    for each in states:
        before = found.get((each.model, each.version))
        found[each.model, each.version] = each if before is None else _merge(before, each)
    return [found[key] for key in sorted(found)]


def _merge(one: DriftState, other: DriftState) -> DriftState:
    more = max(one, other, key=lambda each: each.labels)
    return replace(
        more,
        rows=one.rows + other.rows,
        skipped=one.skipped + other.skipped,
        windows=one.windows + other.windows,
        alarms=tuple(dict.fromkeys((*one.alarms, *other.alarms))),
        labels=one.labels + other.labels,
        changed=max((each.changed for each in (one, other) if each.changed), default=None),
    )
