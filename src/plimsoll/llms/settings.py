"""A language model as a server is told of it."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.llms.routing import Routing


class EndpointSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody else's service. `key` is the name of the environment variable that has the key; empty without one.

    `passes` are headers of a request that reach it too.
    """

    url: str
    model: str
    key: str = ""
    passes: tuple[str, ...] = ()


class LlmSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What serves it, and its limits.

    `context` is in tokens of one question and its answer; `slots` are answers that are computed at once. `tokens` and
    `seconds` are for one answer, `queue` is in requests that wait. `adapter` is the file of the adapter for all
    answers, `adapters` are those of adapters by the names that requests choose. `replicas` are processes with `slots`
    each, and `routing` says how requests are led to them. `memory` is a limit in bytes for all processes together.
    """

    engine: str
    context: int = 4096
    slots: int = 4
    tokens: int = 1024
    seconds: float = 120.0
    queue: int = 64
    adapter: str = ""
    adapters: dict[str, str] = {}
    endpoint: EndpointSettings | None = None
    replicas: int = 1
    routing: Routing = "prefix"
    memory: int | None = None
