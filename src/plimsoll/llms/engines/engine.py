"""What is known of an engine before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

PORT = 8000
"""Where an engine in a container answers, beside the server that hands requests on to it."""
DECODE_PORT = 8001
"""Where one answers that only writes: at `PORT` stands what has the question read elsewhere before."""
PREFILL_PORT = 8080
"""Where one answers that only reads: pods that a picker chooses among have one port in common, the server's."""
Role = Literal["whole", "decode", "prefill"]
"""What an engine does of an answer: all of it, the writing, or the reading of the question before."""


class Serving(Struct, frozen=True, kw_only=True):
    """What an engine in a container is to serve. `model` and `adapters` are directories of verified files."""

    name: str
    model: str
    adapters: dict[str, str]
    context: int
    slots: int
    tokens: int
    accelerators: int
    role: Role = "whole"

    @property
    def port(self) -> int:
        """Where it is to answer."""
        return {"whole": PORT, "decode": DECODE_PORT, "prefill": PREFILL_PORT}[self.role]


class Container(Struct, frozen=True, kw_only=True):
    """A container that answers the OpenAI API at `port`. `health` is a path that is 200 once it does.

    `address` is the variable that is to have the pod's own address; empty without one.
    """

    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    health: str
    port: int = PORT
    address: str = ""


class Engine(Struct, frozen=True, kw_only=True):
    """An engine.

    `formats` are those of the models that it reads, and `settings` the words of the file that it takes. `process` is
    the module that runs it as a process of this machine or of a pod, and `extra` the extra of plimsoll that brings what
    that needs; `container` makes a container of its own for it. `directory` says that it reads all files of a model and
    not one. `remote` says that nothing is run at all. `ends_streams_alone` says that it goes on with a whole answer
    when its client has gone, and ends a streamed one.
    """

    name: str
    formats: tuple[str, ...] = ()
    settings: frozenset[str] = frozenset()
    process: str = ""
    extra: str = ""
    container: Callable[[Serving], Container] | None = None
    directory: bool = False
    remote: bool = False
    ends_streams_alone: bool = False
    most_slots: int = 4096

    @property
    def here(self) -> bool:
        """Whether a machine without containers can serve with it."""
        return self.remote or bool(self.process)
