"""Sets of fields, as metadata.managedFields holds them (FieldsV1), and what two objects differ in.

A path is a tuple of FieldsV1's own elements: `f:name` for a field, `k:{"name":"main"}` and `v:1` for items of lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.shapes import Fields, element, elements, shape_of

Path = tuple[str, ...]
_OF_NOBODY = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata", "f:name"),
        ("f:metadata", "f:namespace"),
        ("f:metadata", "f:creationTimestamp"),
        ("f:metadata", "f:deletionTimestamp"),
        ("f:metadata", "f:deletionGracePeriodSeconds"),
        ("f:metadata", "f:uid"),
        ("f:metadata", "f:generation"),
        ("f:metadata", "f:managedFields"),
        ("f:metadata", "f:resourceVersion"),
        ("f:metadata", "f:selfLink"),
    }
)


def leaves(kind: ServedKind, manifest: Manifest) -> dict[Path, Any]:
    """Every field that can be owned, with its value; an item of a list by key counts as a field of its own."""
    found = dict(_leaves(kind, manifest, (), ()))
    return {path: value for path, value in found.items() if path[:2] not in _OF_NOBODY and path[:1] not in _OF_NOBODY}


def _leaves(kind: ServedKind, value: Any, path: Path, fields: Fields) -> Iterator[tuple[Path, Any]]:
    shape = shape_of(kind, fields, value) if isinstance(value, (dict, list)) else None
    if isinstance(value, dict) and shape is not None and shape.by == "fields" and (value or not path):
        for key, each in value.items():
            yield from _leaves(kind, each, (*path, f"f:{key}"), (*fields, key))
    elif isinstance(value, list) and shape is not None and shape.by in ("key", "set") and value:
        for item in value:
            place = (*path, element(shape, item))
            yield place, item if shape.by == "set" else _Item
            if shape.by == "key":
                yield from _leaves(kind, item, place, fields)
    else:
        yield path, value


class _Item:
    """Stands for the value of an item that is merged by key: it is there, and has no value of its own."""


def changed(before: dict[Path, Any], after: dict[Path, Any]) -> frozenset[Path]:
    """Fields that are new or have another value."""
    return frozenset(path for path, value in after.items() if path not in before or before[path] != value)


def encoded(paths: Iterable[Path]) -> Manifest:
    """FieldsV1 of a set of paths."""
    found: Manifest = {}
    known = set(paths)
    for path in sorted(known):
        place = found
        for part in path:
            place = place.setdefault(part, {})
    for path in known:
        place = found
        for part in path:
            place = place[part]
        if place:
            place["."] = {}
    return found


def decoded(fields: Manifest, path: Path = ()) -> frozenset[Path]:
    """The set of paths of FieldsV1."""
    found: set[Path] = set()
    for key, below in fields.items():
        if key == ".":
            found.add(path)
        elif not below:
            found.add((*path, key))
        else:
            found |= decoded(below, (*path, key))
    return frozenset(found)


def dotted(path: Path) -> str:
    """A path as messages write it: `.spec.containers[name="main"].image`."""
    words = []
    for part in path:
        mark, _, rest = part.partition(":")
        if mark == "f":
            words.append(f".{rest}")
        elif mark == "k":
            words.append(f"[{rest.strip('{}').replace(chr(34) + ':', '=').replace(chr(34), '', 1)}]")
        else:
            words.append(f"[={rest}]")
    return "".join(words)


def without(kind: ServedKind, manifest: Any, gone: frozenset[Path], path: Path = (), fields: Fields = ()) -> Any:
    """A copy without some fields; maps and lists that become empty by it go with them."""
    if isinstance(manifest, dict):
        kept = {}
        for key, value in manifest.items():
            place = (*path, f"f:{key}")
            if place in gone:
                continue
            rest = without(kind, value, gone, place, (*fields, key))
            if rest in ({}, []) and value not in ({}, []):
                continue
            kept[key] = rest
        return kept
    if isinstance(manifest, list):
        shape = shape_of(kind, fields, manifest)
        if shape.by in ("key", "set"):
            named = [((*path, name), item) for name, item in elements(shape, manifest).items()]
            return [without(kind, item, gone, place, fields) for place, item in named if place not in gone]
    return manifest
