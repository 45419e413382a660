"""Patches that say what to change: JSON merge (RFC 7386), JSON patch (RFC 6902), Kubernetes' strategic merge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError, bad_request
from plimsoll.kubernetes.memory.shapes import SET, Fields, elements, shape_of
from plimsoll.kubernetes.memory.values import copied

_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


def merged(live: Any, change: Any) -> Any:
    """A JSON merge patch: null takes a field away, and lists are replaced."""
    if not isinstance(change, dict):
        return copied(change)
    found = copied(live) if isinstance(live, dict) else {}
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def edited(live: Manifest, steps: Any) -> Manifest:
    """A JSON patch. Raises StatusError: 400 for what is no patch, 422 when a step cannot be done or a test fails."""
    if not isinstance(steps, list) or not all(isinstance(each, dict) for each in steps):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    found: Manifest = copied(live)
    for step in steps:
        if step.get("op") not in _OPERATIONS:
            raise bad_request(f"error decoding patch: unexpected operation {step.get('op')!r}")
        try:
            _edit(found, step)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = "the server rejected our request due to an error in our request"
            raise StatusError(422, "Invalid", message) from error
    return found


def _edit(found: Manifest, step: Manifest) -> None:
    where = _pointer(step["path"])
    match step["op"]:
        case "test":
            if _at(found, where) != step["value"]:
                raise ValueError(step["path"])
        case "remove":
            _take(found, where)
        case "replace":
            _at(found, where)
            _take(found, where)
            _put(found, where, step["value"])
        case "add":
            _put(found, where, step["value"])
        case "move":
            _put(found, where, _take(found, _pointer(step["from"])))
        case _:
            _put(found, where, copied(_at(found, _pointer(step["from"]))))


def _pointer(text: str) -> list[str]:
    if not text.startswith("/"):
        raise ValueError(text)
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(found: Any, where: Sequence[str]) -> Any:
    for part in where:
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def _take(found: Any, where: Sequence[str]) -> Any:
    place, last = _at(found, where[:-1]), where[-1]
    return place.pop(int(last)) if isinstance(place, list) else place.pop(last)


def _put(found: Any, where: Sequence[str], value: Any) -> None:
    place, last = _at(found, where[:-1]), where[-1]
    if not isinstance(place, list):
        place[last] = copied(value)
        return
    index = len(place) if last == "-" else int(last)
    if not 0 <= index <= len(place):
        raise IndexError(last)
    place.insert(index, copied(value))


def strategic(kind: ServedKind, live: Any, change: Any, fields: Fields = ()) -> Any:
    """A strategic merge patch, with the directives `$patch` and `$deleteFromPrimitiveList`."""
    if isinstance(change, list):
        return _strategic_list(kind, live if isinstance(live, list) else [], change, fields)
    if not isinstance(change, dict):
        return copied(change)
    if change.get("$patch") == "replace":
        return {key: copied(value) for key, value in change.items() if key != "$patch"}
    found = copied(live) if isinstance(live, dict) else {}
    for key, value in change.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            found[name] = [each for each in found.get(name, []) if each not in value]
        elif key.startswith("$"):
            continue
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            found.pop(key, None)
        else:
            found[key] = strategic(kind, found.get(key), value, (*fields, key))
    return found


def _strategic_list(kind: ServedKind, live: list[Any], change: list[Any], fields: Fields) -> list[Any]:
    shape = shape_of(kind, fields, change)
    if shape.by == "atomic" or {"$patch": "replace"} in change:
        return [copied(each) for each in change if each != {"$patch": "replace"}]
    if shape == SET:
        return [*live, *(each for each in change if each not in live)]
    # A patch finds the item to change by the first key alone, as the older of the two ways of merging does.
    shape = type(shape)("key", shape.keys[:1])
    found = elements(shape, live)
    for name, item in elements(shape, change).items():
        if item.get("$patch") == "delete":
            found.pop(name, None)
        else:
            found[name] = strategic(kind, found.get(name), item, fields)
    return list(found.values())
