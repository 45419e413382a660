"""What is known of an engine before anything runs."""

from __future__ import annotations

from msgspec import Struct


class Engine(Struct, frozen=True, kw_only=True):
    """An engine.

    `formats` are those of the models that it reads, and `settings` the words of the file that it takes. `extra` is the
    extra of plimsoll that runs it on this machine; empty when it runs in containers of its own only, or not here.
    """

    name: str
    formats: tuple[str, ...] = ()
    settings: frozenset[str] = frozenset()
    extra: str = ""
    here: bool = False
    """Whether a machine without containers can run it."""
