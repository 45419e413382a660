"""What an engine's process is told at its start, and what it says when it is up."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable


@decodable
class Order(Struct, frozen=True, kw_only=True):
    """`model` and `adapters` are files; `name` is what answers call the model. `socket` is a path to listen at.

    `context` and `tokens` are of one answer, `slots` are answers at once, `threads` are for all of them together.
    `cache` is in MiB, for questions that may begin like a later one. `ready` is a descriptor for one `Told`. When the
    process `parent` has gone, nobody is left to answer for.
    """

    name: str
    model: str
    socket: str
    context: int
    slots: int
    tokens: int
    threads: int
    ready: int
    parent: int
    adapters: tuple[str, ...] = ()
    cache: int = 256


@decodable
class Told(Struct, frozen=True, kw_only=True):
    """The engine is up, unless there is a `problem`."""

    problem: str = ""
