"""Values of the wrong type, which an API server cannot read at all: a number for a text, a size that is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError, bad_request

_SIZE = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_TEXTS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector"})
_SIZES = frozenset({"requests", "limits", "hard"})


def check_types(kind: ServedKind, manifest: Manifest) -> None:
    """Raises StatusError (400) for a value that is read as another type. Custom kinds are their schema's to judge."""
    maps = list(_maps(manifest["metadata"] if kind.custom else manifest))
    if kind.plural in ("configmaps", "secrets") and not kind.group:
        maps += [("data", manifest.get("data") or {}), ("binaryData", manifest.get("binaryData") or {})]
    for name, found in maps:
        for key, value in found.items():
            if name in _SIZES:
                if not isinstance(value, (str, int, float)) or not _SIZE.fullmatch(str(value)):
                    raise _unread(kind, "quantities must match the regular expression")
            elif not isinstance(value, str):
                words = f"cannot unmarshal {type(value).__name__} into Go struct field {kind.kind}.{name}.{key}"
                raise _unread(kind, f"json: {words} of type string")


def _maps(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The maps of an object whose values are all texts, or all sizes; values of variables count as such a map."""
    if isinstance(value, list):
        for each in value:
            yield from _maps(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _TEXTS | _SIZES and isinstance(each, dict):
                yield key, each
            elif key == "env" and isinstance(each, list):
                yield key, {str(item.get("name")): item.get("value", "") for item in each if isinstance(item, dict)}
            # The schema of a definition describes such maps and has none.
            elif key not in ("managedFields", "data", "openAPIV3Schema"):
                yield from _maps(each)


def _unread(kind: ServedKind, why: str) -> StatusError:
    version = f'"{kind.version}"'
    return bad_request(f"{kind.kind} in version {version} cannot be handled as a {kind.kind}: {why}")
