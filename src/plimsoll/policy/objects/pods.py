"""The pods that a Kubernetes object describes, whatever its kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from plimsoll.policy.facts import Document

DEEPEST = 60
"""Levels of an object that are looked through; Kubernetes' own have fewer than twenty."""


class PodSpec(Struct, frozen=True, kw_only=True):
    """A pod spec, and the path of keys that leads to it."""

    path: str
    spec: Document

    @property
    def containers(self) -> list[tuple[str, Document]]:
        """All of its containers with their names: those that start first and those that are added later, too."""
        found = []
        for kind in ("containers", "initContainers", "ephemeralContainers"):
            for number, each in enumerate(_list(self.spec.get(kind))):
                if isinstance(each, dict):
                    found.append((f"{kind}[{each.get('name', number)}]", each))
        return found

    @property
    def volumes(self) -> list[Document]:
        """Its volumes."""
        return [each for each in _list(self.spec.get("volumes")) if isinstance(each, dict)]


class TooDeep(ValueError):
    """An object that is nested further than anybody's is."""


def pods_of(document: Document) -> list[PodSpec]:
    """Every part of an object that has containers, so that no kind is missed. Raises TooDeep."""
    return list(_walk(document, "", 0))


def _walk(value: object, path: str, depth: int) -> Iterator[PodSpec]:
    if depth > DEEPEST:
        raise TooDeep(path[:200])
    if isinstance(value, dict):
        if isinstance(value.get("containers"), list):
            yield PodSpec(path=path or ".", spec=value)
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _walk(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, dict | list):
                yield from _walk(inner, f"{path}[{number}]", depth + 1)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
