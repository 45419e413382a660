"""Whether a version of a Python package is in what an advisory of OSV calls affected. Pure.

Source: the OSV schema, "Evaluation"; PEP 440.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from packaging.version import InvalidVersion, Version

Event = Mapping[str, str]


class Undecidable(Exception):
    """It cannot be told whether the version is affected; the message says why."""


def is_affected(version: str, versions: Iterable[str], ranges: Sequence[tuple[str, Sequence[Event]]]) -> bool:
    """Whether a version is listed or in a range; `ranges` are pairs of a type and its events. Raises Undecidable."""
    try:
        own = Version(version)
    except InvalidVersion:
        raise Undecidable(f"'{version[:80]}' is no version of PEP 440") from None
    listed = list(versions)
    if any(_is_same(own, version, each) for each in listed):
        return True
    ordered = [events for kind, events in ranges if kind in ("ECOSYSTEM", "SEMVER")]
    doubt: Undecidable | None = None
    for events in ordered:
        try:
            if _in_range(own, events):
                return True
        except Undecidable as error:
            # Another range may settle it.
            doubt = error
    if doubt is not None:
        raise doubt
    if not ordered and not listed:
        raise Undecidable(
            "the advisory names no versions, only commits" if ranges else "the advisory names no versions"
        )
    return False


def _is_same(own: Version, text: str, listed: str) -> bool:
    if text == listed:
        return True
    try:
        other = Version(listed)
    except InvalidVersion:
        return False
    return _comparable(own, other) == other


def _in_range(own: Version, events: Sequence[Event]) -> bool:
    limits = [event["limit"] for event in events if "limit" in event]
    if limits and not any(each == "*" or _is_before(own, _version(each)) for each in limits):
        return False
    affected = False
    for kind, text in sorted(_timeline(events), key=_order):
        if kind == "introduced" and (text == "0" or not _is_before(own, _version(text))):
            affected = True
        elif (kind == "fixed" and not _is_before(own, _version(text))) or (
            kind == "last_affected" and _comparable(own, bound := _version(text)) > bound
        ):
            affected = False
    return affected


def _timeline(events: Sequence[Event]) -> list[tuple[str, str]]:
    known = ("introduced", "fixed", "last_affected")
    found = [(kind, event[kind]) for event in events for kind in known if kind in event]
    if not any(kind == "introduced" for kind, _ in found):
        raise Undecidable("a range of the advisory does not say where it begins")
    return found


def _order(entry: tuple[str, str]) -> tuple[bool, Version, int]:
    """By version; where one is fixed and introduced at once, it is introduced after it was fixed."""
    kind, text = entry
    rank = {"fixed": 0, "introduced": 1, "last_affected": 2}[kind]
    return (text != "0", Version("0") if text == "0" else _version(text), rank)


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise Undecidable(f"the advisory names '{text[:80]}', which is no version of PEP 440") from None


def _is_before(own: Version, bound: Version) -> bool:
    return _comparable(own, bound) < bound


def _comparable(own: Version, bound: Version) -> Version:
    """A version without its local part, where the bound has none: 2.1+cpu is a build of 2.1, and not after it."""
    return Version(own.public) if own.local and not bound.local else own
