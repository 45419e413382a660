"""One promotion of a service at a time, by a lease; it holds what the service was, until the promotion has ended.

Source: coordination.k8s.io/v1. A promotion that is killed leaves its lease, which nobody renews: the next promotion
takes it over, and restores the service first. Clocks of two machines may differ, so a lease that looks old is watched
for a while before it is taken: who is alive renews it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions

DURATION = 60
"""Seconds after its last renewal at which a lease counts as left behind."""
RENEWAL = 10.0
"""Seconds between two renewals."""
WATCHED = 20.0
"""Seconds for which a lease that looks left behind is watched: some renewals of whoever is alive."""
LOOK = 1.0
"""Seconds between two looks at it."""
BEFORE = "plimsoll.dev/before"
"""The annotation with what the service served before the promotion; without it nothing has been changed yet."""


class PromotionLease:
    """The lease of one service. `name` is that of the service's objects. Can be used from several threads."""

    def __init__(
        self,
        api: Api,
        application: str,
        namespace: str,
        name: str,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._application = application
        self._namespace = namespace
        self._name = f"{name}-promotion"
        self._say = say
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._version = ""
        self._renewed = 0.0
        self._lost: PlimsollError | None = None
        self._lock = threading.Lock()

    def take(self) -> ServedVersions | None:
        """Take the lease; gives what the service was before a promotion that was cut off, if there was one.

        Raises PlimsollError when another promotion goes on, TargetError when one was cut off that cannot be undone.
        """
        found = self._found()
        if found is not None and not is_left_behind(found, datetime.now(UTC)):
            raise self._busy(found)
        if found is not None:
            found = self._watched(found)
        if found is None:
            self._create()
            return None
        before = before_of(found)
        self._take_over(found)
        return before

    def remember(self, before: ServedVersions) -> None:
        """Keep what the service is: from here on it may be changed. Raises PlimsollError when the lease is lost."""
        self._annotate(msgspec.json.encode(before, order="deterministic").decode())

    def forget(self) -> None:
        """Nothing is to be undone any more. Raises PlimsollError when the lease is lost."""
        self._annotate(None)

    def renew(self) -> None:
        """Say that the promotion goes on, now and then. Raises PlimsollError when another has taken the lease over."""
        with self._lock:
            # The time of the day goes on while a machine sleeps, and another promotion may have begun meanwhile.
            if self._lost is None and abs(time.time() - self._renewed) < RENEWAL:
                return
            self._change({"spec": {"renewTime": _now()}})

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease while the block runs, whatever the block waits for."""
        ending = threading.Event()
        thread = threading.Thread(target=self._keep, args=(ending,), daemon=True, name=self._name)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def release(self) -> None:
        """The promotion has ended. A lease that cannot be deleted is in the way of the next for its duration only."""
        with contextlib.suppress(ApiError):
            found = self._found()
            if found is None or _holder(found) != self._holder:
                return
            place = self._api.path(names.LEASES, "Lease", self._namespace, self._name)
            exactly = {"uid": found["metadata"]["uid"], "resourceVersion": found["metadata"]["resourceVersion"]}
            self._api.request("DELETE", place, body={"preconditions": exactly})

    def give_up(self) -> None:
        """The promotion has ended and could not be undone: the next one is to do that, and need not wait."""
        with contextlib.suppress(PlimsollError), self._lock:
            self._change({"spec": {"renewTime": None}})

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
            return f"a promotion is running, by {_holder(found)}"
        if BEFORE not in _annotations(found):
            return ""
        return "a promotion was interrupted; its weights stay until the next plimsoll promote"

    def _found(self) -> Manifest | None:
        return self._api.find(names.LEASES, "Lease", self._name, self._namespace)

    def _watched(self, found: Manifest) -> Manifest | None:
        """A lease that looks left behind, when it is; `None` when it is gone. Raises PlimsollError when it is not."""
        if _renewed_at(found) is None:
            return found
        self._say(f"waiting: whether the promotion by {_holder(found)} was interrupted")
        deadline = time.monotonic() + WATCHED
        while time.monotonic() < deadline:
            time.sleep(LOOK)
            again = self._found()
            if again is None:
                return None
            if again["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                raise self._busy(again)
        return found

    def _create(self) -> None:
        lease: Manifest = {
            "apiVersion": names.LEASES,
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": names.of_application(self._application),
            },
            "spec": {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION, "renewTime": _now()},
        }
        try:
            made = self._api.create(lease)
        except ApiError as error:
            if error.status == 409:
                raise self._busy(self._found()) from error
            raise
        self._taken(made)

    def _take_over(self, found: Manifest) -> None:
        """Take a lease with all that it holds."""
        # Of two that take the lease over at once, the API server lets the first one.
        change = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "spec": {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION, "renewTime": _now()},
        }
        try:
            self._taken(self._api.patch(found, change))
        except ApiError as error:
            if error.status == 409:
                raise self._busy(self._found()) from error
            raise

    def _taken(self, lease: Manifest) -> None:
        self._version = lease["metadata"]["resourceVersion"]
        self._renewed = time.time()

    def _annotate(self, text: str | None) -> None:
        with self._lock:
            self._change({"metadata": {"annotations": {BEFORE: text}}, "spec": {"renewTime": _now()}})

    def _change(self, change: Manifest) -> None:
        """Change the lease as long as it is ours. Raises PlimsollError when it is another's, or gone."""
        while self._lost is None:
            exactly = {**change, "metadata": {**change.get("metadata", {}), "resourceVersion": self._version}}
            place = {
                "apiVersion": names.LEASES,
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
            }
            try:
                self._taken(self._api.patch(place, exactly))
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                found = self._found()
                if found is None or _holder(found) != self._holder:
                    self._lost = self._gone(found)
                    break
                # Somebody has labelled it, or an answer of ours was lost on its way.
                self._version = found["metadata"]["resourceVersion"]
            else:
                return
        if self._lost is not None:
            raise self._lost

    def _keep(self, ending: threading.Event) -> None:
        while not ending.wait(RENEWAL / 2):
            try:
                self.renew()
            except ApiError:
                # Whoever changes something renews first, and tells of what does not pass.
                continue
            except PlimsollError:
                return

    def _gone(self, found: Manifest | None) -> PlimsollError:
        who = f"another promotion has taken over, {_holder(found)}" if found else "its lease has been deleted"
        return TargetError(
            f"this promotion is no longer the one that goes on: {who}", where=self._where, hint="see plimsoll status"
        )

    def _busy(self, found: Manifest | None) -> PlimsollError:
        return PlimsollError(
            f"another promotion into this service is running, by {_holder(found or {})}",
            where=self._where,
            hint="wait for it, or end it: it restores the weights",
        )

    @property
    def _where(self) -> str:
        return f"Lease {self._name} in namespace {self._namespace}"


def is_left_behind(lease: Manifest, now: datetime) -> bool:
    """Whether nobody has renewed a lease for its duration; one without a readable time counts as left behind."""
    renewed = _renewed_at(lease)
    try:
        duration = timedelta(seconds=int(lease["spec"].get("leaseDurationSeconds", DURATION)))
    except (KeyError, TypeError, ValueError):
        return True
    return renewed is None or abs(now - renewed) > duration


def before_of(lease: Manifest) -> ServedVersions | None:
    """What a lease holds of the service's former state; None when it holds nothing.

    Raises TargetError when it cannot be read: what a promotion has changed would stay for ever.
    """
    text = _annotations(lease).get(BEFORE)
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


def _renewed_at(lease: Manifest) -> datetime | None:
    """When a lease was renewed, by the clock of its holder; None when that cannot be read."""
    try:
        found = datetime.fromisoformat(lease["spec"]["renewTime"])
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None


def _holder(lease: Manifest) -> str:
    return str(lease.get("spec", {}).get("holderIdentity") or "an unknown process")


def _annotations(lease: Manifest) -> dict[str, str]:
    return lease["metadata"].get("annotations") or {}


def _now() -> str:
    """As MicroTime is written."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
