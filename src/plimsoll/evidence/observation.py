"""An observation: a recorded fact, never an opinion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from plimsoll.decoding import decodable


@decodable
class Observation(Struct, frozen=True, kw_only=True):
    """One fact about one subject.

    `at` is the time of observation (UTC). `source` names the observer (`local`, `engine`, `check` …). `subject` is a
    step such as `train/triage`, a requirement, or `run`. `fact` has the kind of fact as its `event`, and its values
    under other keys: `evidence.run_events` has the types of a run's events, the `records` of each capability its own.
    """

    at: datetime
    source: str
    subject: str
    fact: Mapping[str, Any]

    @property
    def event(self) -> str:
        """The kind of fact."""
        return str(self.fact.get("event", ""))


def observed(source: str, subject: str, event: str, **values: Any) -> Observation:
    """An observation made now."""
    return Observation(at=datetime.now(UTC), source=source, subject=subject, fact={"event": event, **values})
