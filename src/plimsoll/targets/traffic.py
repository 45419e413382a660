"""The interface for promotions: a running service whose requests move between versions of its model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

from plimsoll.telemetry.version_counts import VersionCounts


class TrafficMover(Protocol):
    """One running service. A version is a version number of the service's model, as text."""

    @property
    def service(self) -> str:
        """The service's name in the file."""
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

    def add(self, old: str, new: str) -> None:
        """Load the new version next to the old one, without requests.

        Raises TargetError when loading fails or takes too long. After this call, `restore` undoes everything.
        """
        ...

    def weigh(self, old: str, new: str, weight: int) -> None:
        """Send `weight` per cent of the requests to the new version, and the rest to the old one."""
        ...

    def counts(self, versions: tuple[str, str]) -> Mapping[str, VersionCounts]:
        """The current counters of each version, by version."""
        ...

    def settle(self, new: str) -> None:
        """Make the new version, which gets all requests, the service's version."""
        ...

    def restore(self) -> None:
        """Restore the state before `add`."""
        ...
