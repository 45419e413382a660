"""Server-side apply: an object merged with what one manager wants of it (KEP-555)."""

from __future__ import annotations

from typing import Any

from plimsoll.kubernetes.memory import managers
from plimsoll.kubernetes.memory.field_sets import Path, changed, leaves, without
from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.managers import Manager, Owned, Owners
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.shapes import Fields, elements, shape_of
from plimsoll.kubernetes.memory.values import copied, now


def applied(
    kind: ServedKind, live: Manifest, wanted: Manifest, manager: Manager, *, force: bool
) -> tuple[Manifest, Owners]:
    """The object with what the manager wants, without what it wants no longer, and the owners after it.

    Raises StatusError (409) when that changes what others own, unless by `force`.
    """
    owners = managers.read(live)
    mine = frozenset(leaves(kind, wanted))
    merged = _merged(kind, live, wanted, ())
    clashes = managers.clashes(changed(leaves(kind, live), leaves(kind, merged)), owners, manager)
    if clashes and not force:
        raise managers.refused(clashes, owners)
    others = {
        other: Owned(
            api_version=owned.api_version, time=owned.time, paths=owned.paths - clashes.get(other, frozenset())
        )
        for other, owned in owners.items()
        if other != manager
    }
    before = owners[manager].paths if manager in owners else frozenset()
    result: Manifest = without(kind, merged, _given_up(before - mine, mine, others))
    left = frozenset(leaves(kind, result))
    found = {
        other: Owned(api_version=owned.api_version, time=owned.time, paths=owned.paths & left)
        for other, owned in others.items()
    }
    time = owners[manager].time if manager in owners and before == mine else now()
    found[manager] = Owned(api_version=kind.api_version, time=time, paths=mine)
    return result, found


def _given_up(gone: frozenset[Path], mine: frozenset[Path], others: Owners) -> frozenset[Path]:
    """What nobody owns any more: a field below which others own something stays."""
    kept = mine.union(*(owned.paths for owned in others.values()))
    held = {path[:length] for path in kept for length in range(1, len(path) + 1)}
    return frozenset(path for path in gone if path not in held)


def _merged(kind: ServedKind, live: Any, wanted: Any, fields: Fields) -> Any:
    shape = shape_of(kind, fields, wanted) if isinstance(wanted, (dict, list)) else None
    if isinstance(wanted, dict) and isinstance(live, dict) and shape is not None and shape.by == "fields":
        return {
            **copied(live),
            **{
                key: _merged(kind, live[key], value, (*fields, key)) if key in live else copied(value)
                for key, value in wanted.items()
            },
        }
    if isinstance(wanted, list) and isinstance(live, list) and shape is not None and shape.by in ("key", "set"):
        there, asked = elements(shape, live), elements(shape, wanted)
        # What is wanted comes in its own order, and what others have beside it keeps its place at the end.
        found = [_merged(kind, there[name], item, fields) if name in there else item for name, item in asked.items()]
        return copied([*found, *(item for name, item in there.items() if name not in asked)])
    return copied(wanted)
