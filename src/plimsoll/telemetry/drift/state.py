"""What a service tells other processes of its drift."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class DriftState(Struct, frozen=True, kw_only=True):
    """Alarms as words, and the figures behind them. `rows` were compared, `skipped` were not, in `windows` windows."""

    model: str
    version: str
    rows: int
    skipped: int
    windows: int
    alarms: tuple[str, ...] = ()
    scores: Mapping[str, float] = {}
    labels: int = 0

    def lines(self) -> list[str]:
        """For people: each alarm, or how much was looked at without one."""
        scores = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.scores.items())
        told = [f"{scores} on {self.labels} labels"] if scores else []
        if self.alarms:
            return [*self.alarms, *told]
        looked = f"no drift in {self.rows} rows" if self.windows else f"drift: {self.rows} rows, too few to judge yet"
        return [looked, *told]
