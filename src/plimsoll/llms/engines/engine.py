"""What is known of an engine before anything runs."""

from __future__ import annotations

from msgspec import Struct


class Engine(Struct, frozen=True, kw_only=True):
    """An engine.

    `formats` are those of the models that it reads, and `settings` the words of the file that it takes. `process` is
    the module that runs it as a process of this machine, and `extra` the extra of plimsoll that brings what that needs;
    both are empty where it runs in containers of its own only. `remote` says that nothing is run at all.
    """

    name: str
    formats: tuple[str, ...] = ()
    settings: frozenset[str] = frozenset()
    process: str = ""
    extra: str = ""
    remote: bool = False

    @property
    def here(self) -> bool:
        """Whether a machine without containers can serve with it."""
        return self.remote or bool(self.process)
