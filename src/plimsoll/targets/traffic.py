"""The interface for promotions: a running service whose requests move between versions of its model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from plimsoll.telemetry.version_counts import VersionCounts


class TrafficMover(Protocol):
    """One running service. A version is a version number of the service's model, as text."""

    @property
    def service(self) -> str:
        """The service's name in the file."""
        ...

    @property
    def model(self) -> str:
        """The name of the model whose requests are moved."""
        ...

    @property
    def where(self) -> str:
        """The place of the service, for errors."""
        ...

    def exclusive(self) -> contextlib.AbstractContextManager[bool]:
        """Hold the lock that allows one promotion of the service at a time.

        Yields whether it has just undone an interrupted promotion. Raises PlimsollError when a promotion is running.
        """
        ...

    def leading(self) -> str:
        """The version that gets most of the requests."""
        ...

    def former(self) -> str | None:
        """The version that had the requests before the last promotion; `None` where none has been settled."""
        ...

    def add(self, old: str, new: str) -> None:
        """Load the new version next to the old one, without requests.

        Raises TargetError when that takes too long or fails. From here on `restore` undoes everything. Once it is
        stopped it returns at once: the version need not be loaded then.
        """
        ...

    def weigh(self, old: str, new: str, weight: int) -> None:
        """Send `weight` per cent of the requests to the new version, and the rest to the old one."""
        ...

    def counts(self, versions: tuple[str, str]) -> Mapping[str, VersionCounts]:
        """The current counters of each version, by version."""
        ...

    def all_counts(self) -> Mapping[str, VersionCounts]:
        """The current counters of every version that the servers tell of, for those who only look.

        The service need not be held; a promotion compares with `counts`, which forget no server.
        """
        ...

    def settle(self, old: str, new: str) -> None:
        """The new version has all requests and keeps them: remember it as the service's version, and the former one.

        When it fails, `restore` still undoes everything.
        """
        ...

    def restore(self) -> None:
        """Everything as it was before `add`; nothing to do when `add` has changed nothing.

        When it fails, the next promotion of the service undoes this one.
        """
        ...


@runtime_checkable
class ExpelsVersions(Protocol):
    """A running service that can forget a version altogether."""

    def expel(self, version: str) -> None:
        """Unload a version that has not the largest share: neither a header, a copy nor its number leads to it.

        The service is held (`TrafficMover.exclusive`).
        """
        ...
