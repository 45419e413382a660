"""Records of real checks of the lab, and ways to falsify them as a cheating or broken cluster would.

`python -m tests.capabilities.recorded BUNDLE …` takes new ones.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.capabilities.probe import judge
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome

FOLDER = Path(__file__).parent / "records"
Fact = dict[str, Any]
Record = tuple[Observation, ...]


def main(*bundles: str) -> None:
    """Take the records of bundles in place of those that are here; of one that did not pass, nothing."""
    for bundle in map(Path, bundles):
        shutil.copyfile(bundle / "inventory.jsonl", FOLDER / "inventory.jsonl")
        for path in sorted((bundle / "probes").glob("*.jsonl")):
            if judge(path.stem, tuple(read_journal(path))).outcome is Outcome.PASS:
                shutil.copyfile(path, FOLDER / path.name)


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


if __name__ == "__main__":
    main(*sys.argv[1:])
