"""What a promotion asks of a target: one service whose requests are moved from one version of its model to another."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

from plimsoll.telemetry.version_counts import VersionCounts


class TrafficMover(Protocol):
    """One running service. Versions are numbers of the service's model, as text."""

    @property
    def service(self) -> str:
        """The service's name in the file."""
        ...

    @property
    def where(self) -> str:
        """Where the service is, for errors."""
        ...

    def exclusive(self) -> contextlib.AbstractContextManager[bool]:
        """One promotion of the service at a time.

        Gives whether a promotion that was cut off was undone just now. Raises PlimsollError when another goes on.
        """
        ...

    def leading(self) -> str:
        """The version that has most of the requests."""
        ...

    def add(self, old: str, new: str) -> None:
        """Have the new version loaded beside the old one, without requests.

        Raises TargetError when that takes too long or fails. From here on `restore` undoes everything. Once it is
        stopped it returns at once: the version need not be loaded then.
        """
        ...

    def weigh(self, old: str, new: str, weight: int) -> None:
        """Give the new version so many per cent of the requests, and the old one the rest."""
        ...

    def counts(self, versions: tuple[str, str]) -> Mapping[str, VersionCounts]:
        """What each version has done so far, by version."""
        ...

    def settle(self, new: str) -> None:
        """The new version has all requests and keeps them: remember it as the service's version.

        When it fails, `restore` still undoes everything.
        """
        ...

    def restore(self) -> None:
        """Everything as it was before `add`; nothing to do when `add` has changed nothing.

        When it fails, the next promotion of the service undoes this one.
        """
        ...
