"""Records of a real check of the lab, and ways to falsify them as a cheating or broken cluster would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.engine.journal import read_journal
from plimsoll.evidence.observation import Observation

FOLDER = Path(__file__).parent / "records"
Fact = dict[str, Any]
Record = tuple[Observation, ...]


def recorded(name: str) -> Record:
    return tuple(read_journal(FOLDER / f"{name}.jsonl"))


def changed(record: Record, event: str, change: Callable[[Fact], Fact | None], **where: Any) -> Record:
    """The record with the facts of an event (where these values match) changed; None leaves one out.

    Fails when nothing matches: a falsification that falsifies nothing would prove nothing.
    """
    found: list[Observation] = []
    hits = 0
    for each in record:
        fact = dict(each.fact)
        if each.event == event and all(fact.get(key) == value for key, value in where.items()):
            hits += 1
            # A copy by way of JSON: changing it in place must not reach the original.
            altered = change(msgspec.json.decode(msgspec.json.encode(fact)))
            if altered is not None:
                found.append(msgspec.structs.replace(each, fact=altered))
        else:
            found.append(each)
    assert hits, f"no {event} with {where}"
    return tuple(found)


def with_values(**values: Any) -> Callable[[Fact], Fact]:
    return lambda fact: {**fact, **values}


def without(_: Fact) -> None:
    return None
