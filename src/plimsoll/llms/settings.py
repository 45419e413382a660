"""A language model as a server is told of it."""

from __future__ import annotations

from msgspec import Struct


class EndpointSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody else's service. `key` is the name of the environment variable that has the key; empty without one."""

    url: str
    model: str
    key: str = ""


class LlmSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What serves it, and its limits.

    `context` is in tokens of one question and its answer; `slots` are answers that are computed at once. `tokens` and
    `seconds` are for one answer, `queue` is in requests that wait. `adapter` is the file of the adapter for all
    answers, `adapters` are those of adapters by the names that requests choose. `memory` is a limit in bytes for the
    process.
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
    memory: int | None = None
