"""A lease: something that one process at a time may do to an application on a cluster, whichever machine it is on.

Source: coordination.k8s.io/v1. A process that is killed leaves its lease, which nobody renews: the next one takes it
over. Clocks of two machines may differ, so a lease that looks old is watched for a while before it is taken: who is
alive renews it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.holders import user_at_host
from plimsoll.targets.kubernetes.ownership import is_of, refusal

DURATION = 30
"""Seconds after its last renewal at which a lease counts as left behind."""
RENEWAL = 5.0
"""Seconds between two renewals."""
WATCHED = 15.0
"""Seconds for which a lease that looks left behind is watched: some renewals of whoever is alive."""
LOOK = 1.0
"""Seconds between two looks at it."""


class KubernetesLease(ABC):
    """One lease in a namespace, as one process sees it. Can be used from several threads.

    `purpose` ends the name of its holder where that helps to find the process, such as a run's id.
    """

    def __init__(
        self,
        api: Api,
        application: str,
        namespace: str,
        name: str,
        say: Callable[[str], None] = lambda _: None,
        purpose: str = "",
    ) -> None:
        self._api = api
        self._application = application
        self._namespace = namespace
        self._name = name
        self._say = say
        words = [user_at_host(api.target), str(os.getpid()), *filter(None, [purpose]), secrets.token_hex(3)]
        self._holder = "/".join(words)
        self._version = ""
        self._renewed = 0.0
        self._lost: PlimsollError | None = None
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The lease, for errors."""
        return f"Lease {self._name} in namespace {self._namespace}"

    @abstractmethod
    def busy(self, found: Manifest | None) -> PlimsollError:
        """The refusal while another holds the lease; `None` for one that was gone when it was looked at."""

    @abstractmethod
    def gone(self, found: Manifest | None) -> PlimsollError:
        """What whoever held the lease is told when another has it, or when it was deleted."""

    @abstractmethod
    def question(self, found: Manifest) -> str:
        """What is found out while a lease that looks left behind is watched."""

    def notes(self) -> Mapping[str, str]:
        """Annotations that the holder gives the lease."""
        return {}

    def find(self) -> Manifest | None:
        """The lease as it stands."""
        return self._api.find(names.LEASES, "Lease", self._name, self._namespace)

    def require_ours(self, found: Manifest | None) -> None:
        """Raise TargetError for a lease of somebody else that has the name by chance."""
        if found is not None and not is_of(self._application, found):
            wanted = {"kind": "Lease", "metadata": {"name": self._name}}
            raise refusal(self._application, wanted, found, self._namespace)

    def acquire(self) -> Manifest | None:
        """Take the lease; gives the one that a process has left behind, if there was one.

        Raises the refusal of `busy` while another holds it.
        """
        found = self.find()
        self.require_ours(found)
        if found is not None and not is_left_behind(found, datetime.now(UTC)):
            raise self.busy(found)
        if found is not None:
            found = self._watched(found)
        if found is None:
            self.create()
            return None
        self.take_over(found)
        return found

    def renew(self, *, now: bool = False) -> None:
        """Say that the holder is alive, now and then. Raises PlimsollError when another has taken the lease over."""
        with self._lock:
            # The time of the day goes on while a machine sleeps, and another process may have begun meanwhile.
            if not now and self._lost is None and abs(time.time() - self._renewed) < RENEWAL:
                return
            self.change({"spec": {"renewTime": _now()}})

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
        """What the lease was for has ended. One that cannot be deleted is in the way for its duration only."""
        with contextlib.suppress(ApiError):
            found = self.find()
            if found is None or holder_of(found) != self._holder:
                return
            place = self._api.path(names.LEASES, "Lease", self._namespace, self._name)
            exactly = {"uid": found["metadata"]["uid"], "resourceVersion": found["metadata"]["resourceVersion"]}
            self._api.request("DELETE", place, body={"preconditions": exactly})

    def give_up(self) -> None:
        """Leave the lease to the next one, who need not wait."""
        with contextlib.suppress(PlimsollError), self._lock:
            self.change({"spec": {"renewTime": None}})

    def create(self) -> None:
        """Make the lease. Raises the refusal of `busy` when another was quicker."""
        lease: Manifest = {
            "apiVersion": names.LEASES,
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": names.of_application(self._application),
                "annotations": dict(self.notes()),
            },
            "spec": self._spec(),
        }
        try:
            made = self._api.create(lease)
        except ApiError as error:
            if error.status == 409:
                raise self.busy(self.find()) from error
            raise
        self._taken(made)

    def take_over(self, found: Manifest) -> None:
        """Take a lease with all that it holds. Raises the refusal of `busy` when another was quicker."""
        # Of two that take the lease over at once, the API server lets the first one.
        change = {
            "metadata": {
                "resourceVersion": found["metadata"]["resourceVersion"],
                "annotations": dict(self.notes()),
            },
            "spec": self._spec(),
        }
        try:
            self._taken(self._api.patch(found, change))
        except ApiError as error:
            if error.status in (404, 409):
                raise self.busy(self.find()) from error
            raise

    def change(self, change: Manifest) -> None:
        """Change the lease as long as it is ours. Raises the error of `gone` when it is another's, or not there."""
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
                found = self.find()
                if found is None or holder_of(found) != self._holder:
                    self._lost = self.gone(found)
                    break
                # Somebody has labelled it, or an answer of ours was lost on its way.
                self._version = found["metadata"]["resourceVersion"]
            else:
                return
        if self._lost is not None:
            raise self._lost

    def annotate(self, name: str, text: str | None) -> None:
        """Keep something with the lease, or nothing any more. Raises the error of `gone`."""
        with self._lock:
            self.change({"metadata": {"annotations": {name: text}}, "spec": {"renewTime": _now()}})

    def _spec(self) -> Manifest:
        now = _now()
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION,
            "acquireTime": now,
            "renewTime": now,
        }

    def _watched(self, found: Manifest) -> Manifest | None:
        """A lease that looks left behind, when it is; `None` when it is gone. Raises PlimsollError when it is not."""
        if renewed_at(found) is None:
            return found
        self._say(self.question(found))
        deadline = time.monotonic() + WATCHED
        while time.monotonic() < deadline:
            time.sleep(LOOK)
            again = self.find()
            if again is None:
                return None
            if again["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                raise self.busy(again)
        return found

    def _taken(self, lease: Manifest) -> None:
        self._version = lease["metadata"]["resourceVersion"]
        self._renewed = time.time()

    def _keep(self, ending: threading.Event) -> None:
        while not ending.wait(RENEWAL / 2):
            try:
                self.renew()
            except ApiError:
                # Whoever changes something renews first, and tells of what does not pass.
                continue
            except PlimsollError:
                return


def is_left_behind(lease: Manifest, now: datetime) -> bool:
    """Whether nobody has renewed a lease for its duration; one without a readable time counts as left behind."""
    renewed, duration = renewed_at(lease), duration_of(lease)
    return renewed is None or duration is None or abs(now - renewed) > timedelta(seconds=duration)


def duration_of(lease: Manifest) -> int | None:
    """The seconds for which a lease holds after its last renewal; None when that cannot be read."""
    try:
        return int(lease["spec"].get("leaseDurationSeconds", DURATION))
    except (KeyError, TypeError, ValueError):
        return None


def renewed_at(lease: Manifest) -> datetime | None:
    """When a lease was renewed, by the clock of its holder; None when that cannot be read."""
    try:
        found = datetime.fromisoformat(lease["spec"]["renewTime"])
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None


def holder_of(lease: Manifest | None) -> str:
    """Who holds a lease, in the holder's own words."""
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "an unknown process")


def annotations_of(lease: Manifest) -> dict[str, str]:
    """The annotations of an object."""
    return lease["metadata"].get("annotations") or {}


def lost(what: str, found: Manifest | None, where: str, another: str) -> TargetError:
    """That `what` is not the one that goes on any more: `another` has taken its lease over, or it is gone."""
    who = f"{another} has taken over, {holder_of(found)}" if found else "its lease has been deleted"
    return TargetError(f"{what} is no longer the one that goes on: {who}", where=where, hint="see plimsoll status")


def _now() -> str:
    """As MicroTime is written."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
