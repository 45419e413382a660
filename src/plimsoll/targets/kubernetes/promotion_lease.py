"""One promotion of a service at a time, by a lease; it holds what the service was, until the promotion has ended.

Source: coordination.k8s.io/v1. A promotion that is killed leaves its lease, which nobody renews: the next promotion
takes it over, and restores the service first.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import UTC, datetime, timedelta

import msgspec

from plimsoll.errors import PlimsollError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import Served

DURATION = 60
"""Seconds after its last renewal at which a lease counts as left behind: a promotion renews it at every look."""
RENEWAL = 10.0
"""Seconds between two renewals."""
BEFORE = "plimsoll.dev/before"
"""The annotation with what the service served before the promotion."""


class PromotionLease:
    """The lease of one service. `name` is that of the service's objects."""

    def __init__(self, api: Api, application: str, namespace: str, name: str) -> None:
        self._api = api
        self._application = application
        self._namespace = namespace
        self._name = f"{name}-promotion"
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._renewed = 0.0

    def take(self, before: Served) -> Served | None:
        """Take the lease; gives what the service was before a promotion that was cut off, if there was one.

        Raises PlimsollError when another promotion goes on.
        """
        found = self._found()
        if found is None:
            self._create(before)
            return None
        if not is_left_behind(found, datetime.now(UTC)):
            raise self._busy(found)
        cut_off = before_of(found)
        self._take_over(found, cut_off or before)
        return cut_off

    def renew(self) -> None:
        """Say that the promotion goes on, now and then."""
        if time.monotonic() - self._renewed < RENEWAL:
            return
        self._renewed = time.monotonic()
        self._api.patch(self._manifest(None), {"spec": {"renewTime": _now()}})

    def release(self) -> None:
        """The promotion has ended."""
        self._api.delete(names.LEASES, "Lease", self._name, self._namespace)

    def note(self) -> str:
        """Whether a promotion goes on or was cut off, in words; empty without one."""
        try:
            found = self._found()
        except ApiError as error:
            if error.status == 403:
                # Whoever may look at services need not have the right to read leases.
                return ""
            raise
        if found is None:
            return ""
        if not is_left_behind(found, datetime.now(UTC)):
            return f"a promotion is running, by {found['spec'].get('holderIdentity', 'an unknown process')}"
        return "a promotion was interrupted; its weights stay until the next plimsoll promote"

    def _found(self) -> Manifest | None:
        return self._api.find(names.LEASES, "Lease", self._name, self._namespace)

    def _create(self, before: Served) -> None:
        try:
            self._api.create(self._manifest(before))
        except ApiError as error:
            if error.status == 409:
                raise self._busy(self._found() or self._manifest(before)) from error
            raise
        self._renewed = time.monotonic()

    def _take_over(self, found: Manifest, before: Served) -> None:
        change = self._manifest(before)
        # Of two that take the lease over at once, the API server lets the first one.
        change["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        try:
            self._api.patch(change, change)
        except ApiError as error:
            if error.status == 409:
                raise self._busy(found) from error
            raise
        self._renewed = time.monotonic()

    def _busy(self, found: Manifest) -> PlimsollError:
        holder = found["spec"].get("holderIdentity", "an unknown process")
        return PlimsollError(
            f"another promotion into this service is running, by {holder}",
            where=f"Lease {self._name} in namespace {self._namespace}",
            hint="wait for it, or end it: it restores the weights",
        )

    def _manifest(self, before: Served | None) -> Manifest:
        annotations = {BEFORE: msgspec.json.encode(before).decode()} if before is not None else {}
        labels = names.of_application(self._application)
        return {
            "apiVersion": names.LEASES,
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "spec": {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION, "renewTime": _now()},
        }


def is_left_behind(lease: Manifest, now: datetime) -> bool:
    """Whether nobody has renewed a lease for its duration; one without a readable time counts as left behind."""
    try:
        renewed = datetime.fromisoformat(lease["spec"]["renewTime"])
        duration = timedelta(seconds=int(lease["spec"].get("leaseDurationSeconds", DURATION)))
    except (KeyError, TypeError, ValueError):
        return True
    return abs(now - renewed) > duration


def before_of(lease: Manifest) -> Served | None:
    """What a lease holds of the service's former state; None when that cannot be read."""
    text = lease["metadata"].get("annotations", {}).get(BEFORE, "")
    try:
        return msgspec.json.decode(text, type=Served)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _now() -> str:
    """As MicroTime is written."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
