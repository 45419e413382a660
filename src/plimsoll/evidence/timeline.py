"""A record as lines for people: the time, the event, and its values in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from plimsoll.evidence.observation import Observation

LONGEST = 240
"""Characters of a line's words; the record has all of them."""
_LONG = 80
_LEFT_OUT = ("manifest", "log")


class Line(Struct, frozen=True, kw_only=True):
    """One observation; `after` is in seconds since the first of the record.

    `detail` is the fact as JSON, shortened when it is long, and empty when the words have all of it.
    """

    at: datetime
    after: float
    event: str
    words: str
    detail: str


def timeline(record: Sequence[Observation], longest_detail: int = 1200) -> list[Line]:
    """Every observation as a line, in order."""
    if not record:
        return []
    began = min(each.at for each in record)
    return [
        Line(
            at=each.at,
            after=(each.at - began).total_seconds(),
            event=each.event,
            words=shortened(_words(each.event, each.fact), LONGEST),
            detail=_detail(each.fact, longest_detail),
        )
        for each in record
    ]


def span(record: Sequence[Observation]) -> tuple[datetime, datetime] | None:
    """The times of the first and the last observation; None for an empty record."""
    times = [each.at for each in record]
    return (min(times), max(times)) if times else None


def namespaces(record: Sequence[Observation]) -> list[str]:
    """The namespaces that a probe created."""
    found = (str(each.fact.get("name", "")) for each in record if each.event == "namespace")
    return [name for name in dict.fromkeys(found) if name]


def shortened(text: str, most: int) -> str:
    """The text with at most that many characters; an ellipsis marks what is left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _detail(fact: Mapping[str, object], longest: int) -> str:
    rest = {key: value for key, value in fact.items() if key != "event"}
    told = rest.keys().isdisjoint(_LEFT_OUT) and all(len(_plain(value)) < _LONG for value in rest.values())
    return "" if told or not longest else shortened(_json(rest), longest)


def _words(event: str, fact: Mapping[str, object]) -> str:
    if event in ("came", "did-not-come"):
        return f"{fact.get('what', '')}, after {fact.get('seconds', '?')} s"
    if event == "applied":
        return f"{fact.get('kind', '')}/{fact.get('name', '')}"
    if event == "broke-off":
        return str(fact.get("problem", ""))
    parts = [f"{key} {_plain(value)}" for key, value in fact.items() if key not in ("event", *_LEFT_OUT)]
    return ", ".join(parts)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else shortened(_json(value), _LONG)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
