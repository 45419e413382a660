"""One promotion of a service at a time, by a lease; it holds what the service was, until the promotion has ended.

A promotion that is killed leaves its lease: the next promotion takes it over, and restores the service first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.targets.kubernetes.leases import KubernetesLease, annotations_of, holder_of, is_left_behind, lost
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions

BEFORE = "plimsoll.dev/before"
"""The annotation with what the service served before the promotion; without it nothing has been changed yet."""


class PromotionLease(KubernetesLease):
    """The lease of one service. `name` is that of the service's objects."""

    def __init__(
        self,
        api: Api,
        application: str,
        namespace: str,
        name: str,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(api, application, namespace, f"{name}-promotion", say)

    def take(self) -> ServedVersions | None:
        """Take the lease; gives what the service was before a promotion that was cut off, if there was one.

        Raises PlimsollError when another promotion goes on, TargetError when one was cut off that cannot be undone.
        """
        found = self.acquire()
        return before_of(found) if found is not None else None

    def take_over(self, found: Manifest) -> None:
        """Take a lease with what it holds. Raises TargetError for one that cannot be read: it stays as it is."""
        before_of(found)
        super().take_over(found)

    def remember(self, before: ServedVersions) -> None:
        """Keep what the service is: from here on it may be changed. Raises PlimsollError when the lease is lost."""
        self.annotate(BEFORE, msgspec.json.encode(before, order="deterministic").decode())

    def forget(self) -> None:
        """Nothing is to be undone any more. Raises PlimsollError when the lease is lost."""
        self.annotate(BEFORE, None)

    def require_none(self) -> None:
        """Raise the refusal of `busy` while a promotion goes on: a service is changed by one at a time."""
        try:
            found = self.find()
        except ApiError as error:
            if error.status == 403:
                return
            raise
        if found is not None and not is_left_behind(found, datetime.now(UTC)):
            raise self.busy(found)

    def note(self) -> str:
        """Whether a promotion goes on or was cut off, in words; empty without one."""
        try:
            found = self.find()
        except ApiError as error:
            if error.status == 403:
                # Whoever may look at services need not have the right to read leases.
                return ""
            raise
        if found is None:
            return ""
        if not is_left_behind(found, datetime.now(UTC)):
            return f"a promotion is running, by {holder_of(found)}"
        if BEFORE not in annotations_of(found):
            return ""
        return "a promotion was interrupted; its weights stay until the next plimsoll promote"

    def busy(self, found: Manifest | None) -> PlimsollError:
        """That another promotion goes on."""
        return PlimsollError(
            f"another promotion into this service is running, by {holder_of(found)}",
            where=self.where,
            hint="wait for it, or end it: it restores the weights",
        )

    def gone(self, found: Manifest | None) -> PlimsollError:
        """That another promotion goes on instead of this one."""
        return lost("this promotion", found, self.where, "another promotion")

    def question(self, found: Manifest) -> str:
        """Whether the other promotion was cut off."""
        return f"waiting: whether the promotion by {holder_of(found)} was interrupted"


def before_of(lease: Manifest) -> ServedVersions | None:
    """What a lease holds of the service's former state; None when it holds nothing.

    Raises TargetError when it cannot be read: what a promotion has changed would stay for ever.
    """
    text = annotations_of(lease).get(BEFORE)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=ServedVersions)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        name = lease["metadata"].get("name", "")
        raise TargetError(
            f"a promotion was cut off, and what the service was before cannot be read: {error}",
            where=f"Lease {name}",
            hint="delete the lease, and have the service as its file says: plimsoll run",
        ) from error
