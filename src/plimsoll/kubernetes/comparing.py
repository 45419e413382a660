"""An object as it stands, held against what it should be. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import Object
from plimsoll.kubernetes.quantities import number

_WHOLE = frozenset({"selector", "podSelector", "labelSelector", "matchLabels", "namespaceSelector", "nodeSelector"})
"""Maps that are one value: another key in them selects something else."""
_QUANTITIES = frozenset({"requests", "limits", "averageValue", "targetAverageValue", "storage", "hard", "nominalQuota"})
_COMPARED = ("labels", "annotations")
"""What of the metadata is wished; the rest is where it lies, and the server's."""
_NOTHING: tuple[object, ...] = (None, {}, [], "")


def differences(wanted: Manifest, found: Object) -> list[str]:
    """Paths of the fields that are not as wanted, such as `.spec.selector`; what stands may have more fields."""
    paths: list[str] = []
    for key, value in wanted.items():
        if key == "metadata":
            below = {part: value[part] for part in _COMPARED if value.get(part)}
            paths += _differences(below, found[key], ".metadata")
        elif key not in ("apiVersion", "kind"):
            paths += _differences(value, found.get(key), f".{key}")
    return paths


def _differences(wanted: object, found: object, path: str) -> Iterator[str]:
    if found is None and wanted in _NOTHING:
        return
    if isinstance(wanted, dict) and isinstance(found, dict):
        if path.rpartition(".")[2] in _WHOLE and wanted.keys() != found.keys():
            yield path
            return
        for key, value in wanted.items():
            yield from _differences(value, found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield path
            return
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif wanted != found and not _same_quantity(wanted, found, path):
        yield path


def _same_quantity(wanted: object, found: object, path: str) -> bool:
    """Whether two quantities have one value: a server writes `1000m` as `1`."""
    if not _QUANTITIES & set(path.split(".")):
        return False
    if not (isinstance(wanted, str | int | float) and isinstance(found, str | int | float)):
        return False
    try:
        return number(wanted) == number(found)
    except ValueError:
        return False
