"""What a service tells other processes of its drift."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct


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
