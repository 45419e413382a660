"""The protocol's resources, by path. Pure.

Sources: Open Inference Protocol v2 (HTTP/REST), and the model repository extension of the protocol's origin.
"""

from __future__ import annotations

from msgspec import Struct


class Resource(Struct, frozen=True):
    """A resource.

    `kind` is one of `infer`, `model`, `model-ready`, `server`, `live`, `ready`, `index`, `load`, `unload`. `version` is
    `None` when the path names none.
    """

    kind: str
    model: str = ""
    version: str | None = None

    @property
    def method(self) -> str:
        """The method that it accepts; a resource that accepts GET accepts HEAD as well."""
        return "POST" if self.kind in {"infer", "index", "load", "unload"} else "GET"


class NoResource(Exception):
    """A path of the protocol that names no resource; the message says which part is wrong."""


_FIXED = {
    ("v2",): Resource("server"),
    ("v2", "health", "live"): Resource("live"),
    ("v2", "health", "ready"): Resource("ready"),
    ("v2", "repository", "index"): Resource("index"),
}
_OF_A_MODEL = {(): "model", ("ready",): "model-ready", ("infer",): "infer"}


def resource_at(path: str) -> Resource | None:
    """The resource; `None` when the path is not one of the protocol's. Raises NoResource."""
    # An empty part is not left out: rules of proxies that look at the path would be passed by `//`.
    parts = tuple(path.removeprefix("/").removesuffix("/").split("/"))
    fixed = _FIXED.get(parts)
    if fixed is not None:
        return fixed
    match parts:
        case ("v2", "repository", "models", model, "load" | "unload" as verb):
            return Resource(verb, model)
        case ("v2", "models", model, "versions", version, *rest) if tuple(rest) in _OF_A_MODEL:
            return Resource(_OF_A_MODEL[tuple(rest)], model, version)
        case ("v2", "models", model, *rest) if tuple(rest) in _OF_A_MODEL:
            return Resource(_OF_A_MODEL[tuple(rest)], model)
        case ("v2", "models", _, *rest):
            raise NoResource(f"a model has no resource '{'/'.join(rest)[:80]}'")
    return None
