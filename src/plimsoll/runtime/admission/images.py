"""The images that an object of Kubernetes would run or mount, wherever its pods stand in it. Pure.

Objects of all kinds are walked, so that a kind that nobody has thought of is judged like those that are known: what has
containers is a pod. An image of a volume counts too, which is how models are mounted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from plimsoll.errors import ModelRefused

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
MOST_DEPTH = 48
MOST_NODES = 200_000
_NOT_WALKED = ("status", "managedFields")


class Named(Struct, frozen=True, kw_only=True):
    """An image, and where it stands: keys and indexes from the top of the object."""

    image: str
    path: tuple[str | int, ...]

    @property
    def place(self) -> str:
        """The place for people, such as `spec.containers[0].image`."""
        text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in self.path)
        return text.removeprefix(".")

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901)."""
        return "".join("/" + str(each).replace("~", "~0").replace("/", "~1") for each in self.path)


def images_of(content: Json) -> list[Named]:
    """The images of an object. Raises ModelRefused for a container without one, and for an object beyond the limits."""
    found: list[Named] = []
    waiting: list[tuple[tuple[str | int, ...], Json]] = [((), content)]
    seen = 0
    while waiting:
        path, node = waiting.pop()
        seen += 1
        if seen > MOST_NODES or len(path) > MOST_DEPTH:
            raise ModelRefused(f"the object has more than {MOST_NODES} values, or more than {MOST_DEPTH} levels")
        if isinstance(node, list):
            waiting += [((*path, index), each) for index, each in enumerate(node)]
        elif isinstance(node, dict):
            found += _of_pod(path, node)
            waiting += [((*path, key), each) for key, each in node.items() if key not in _NOT_WALKED]
    return sorted(found, key=lambda each: [str(part) for part in each.path])


def _of_pod(path: tuple[str | int, ...], node: dict[str, Json]) -> Iterator[Named]:
    for key in CONTAINERS:
        containers = node.get(key)
        for index, each in enumerate(containers) if isinstance(containers, list) else ():
            if isinstance(each, dict):
                yield _named(each.get("image"), (*path, key, index, "image"))
    volumes = node.get("volumes")
    for index, each in enumerate(volumes) if isinstance(volumes, list) else ():
        source = each.get("image") if isinstance(each, dict) else None
        if isinstance(source, dict):
            yield _named(source.get("reference"), (*path, "volumes", index, "image", "reference"))


def _named(image: Json, path: tuple[str | int, ...]) -> Named:
    named = Named(image=image if isinstance(image, str) else "", path=path)
    if not named.image:
        raise ModelRefused("there is no image", where=named.place)
    return named
