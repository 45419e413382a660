"""What a service tells other processes of its drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import decodable


@decodable
class DriftState(Struct, frozen=True, kw_only=True):
    """Alarms as words, and the figures behind them. `rows` were compared, `skipped` were not, in `windows` windows.

    `changed` is when late labels last showed errors to have become more or less (ADWIN).
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
        """For people: each alarm, or how much was looked at without one."""
        scores = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.scores.items())
        told = [f"{scores} on {self.labels} labels"] if scores else []
        told += [f"errors changed at {self.changed:%H:%M}"] if self.changed else []
        if self.alarms:
            return [*self.alarms, *told]
        looked = f"no drift in {self.rows} rows" if self.windows else f"drift: {self.rows} rows, too few to judge yet"
        return [looked, *told]


def together(told: Iterable[DriftState]) -> list[DriftState]:
    """What several servers say of the same versions, as one each: every server has seen its part of the requests.

    Scores are of the server with the most labels.
    """
    found: dict[tuple[str, str], DriftState] = {}
    for each in told:
        before = found.get((each.model, each.version))
        found[each.model, each.version] = each if before is None else _both(before, each)
    return [found[key] for key in sorted(found)]


def _both(one: DriftState, other: DriftState) -> DriftState:
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
