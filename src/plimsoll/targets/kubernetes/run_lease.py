"""Whose run of an application goes on in a namespace: one at a time, whichever machine it is on.

A run holds the application's lease. A second one of the same content watches what the first one does, and goes on
itself once that has ended or gives no sign any more. One of other content is refused with the holder's name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import msgspec

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes import leases
from plimsoll.targets.kubernetes.claims import CLAIM, CLEAN, Claim, claim_here, claim_of, is_dead
from plimsoll.targets.kubernetes.claims import since as claimed_since
from plimsoll.targets.kubernetes.leases import (
    KubernetesLease,
    duration_of,
    holder_of,
    is_left_behind,
    lost,
    renewed_at,
)
from plimsoll.targets.port import RunRequest

_TRIES = 5
"""Others take and leave a lease while one looks at it: each time it is looked at anew."""


class RunLease(KubernetesLease):
    """The lease of an application in a namespace; `is_dead` says of a claim that its process is known to have ended."""

    def __init__(
        self,
        api: Api,
        application: str,
        namespace: str,
        claim: Claim,
        is_dead: Callable[[Claim], bool],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(api, application, namespace, lease_name(application), say, purpose=claim.run)
        self._claim = claim
        self._is_dead = is_dead
        self._held = False
        self._watched_lease: Manifest | None = None
        self._refusal: PlimsollError | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_taken: Callable[[], None] = lambda: None
        self.word = ""

    @property
    def joined(self) -> str:
        """Whose run of the same content this one watches, in words; empty for none."""
        found = self._watched_lease
        return "" if found is None else str(claim_of(found) or holder_of(found))

    @property
    def reference(self) -> str:
        """The lease as kind/name."""
        return f"Lease/{self._name}"

    @property
    def since(self) -> str:
        """Since when that run goes on, in words."""
        return claimed_since(self._watched_lease)

    def begin(self, stopped: Callable[[], bool] = lambda: False, on_taken: Callable[[], None] = lambda: None) -> None:
        """Take the lease, or join the run of the same content that has it; either way it is kept in sight from then on.

        `on_taken` is called whenever it is taken. Raises TargetError while something else goes on.
        """
        self._on_taken = on_taken
        for _ in range(_TRIES):
            found = self.find()
            self.require_ours(found)
            claim = claim_of(found) if found is not None else None
            if found is not None and claim is not None and self._may_join(claim) and not self._is_over(found, claim):
                self._watched_lease = found
                self._say(
                    f"{claim} carries this out already{claimed_since(found)}: watching it; Ctrl-C only lets go of it"
                )
                break
            try:
                self._take(found, claim, stopped)
            except _Quicker:
                continue
            break
        else:
            raise self.busy(self.find())
        self._thread = threading.Thread(target=self._attend, daemon=True, name=self._name)
        self._thread.start()

    def seize(self) -> None:
        """Take the lease from whoever has it. They are told at their next renewal, for which this waits."""
        for _ in range(_TRIES):
            found = self.find()
            self.require_ours(found)
            if found is None or self._is_over(found, claim_of(found)):
                self.begin()
                return
            whose = claim_of(found) or holder_of(found)
            try:
                self._or_quicker(partial(self.take_over, found))
            except _Quicker:
                # It was renewed meanwhile.
                continue
            break
        else:
            raise self.busy(self.find())
        self._say(f"taking the application from {whose}, which is told so")
        self._thread = threading.Thread(target=self._attend, daemon=True, name=self._name)
        self._thread.start()
        self._on_taken()
        self._ending.wait(1.5 * leases.RENEWAL)

    def end(self) -> None:
        """Let go of the lease, or of the run that was watched."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        if self._held:
            self.release()
        self._held, self._watched_lease = False, None

    def require(self) -> None:
        """Raise PlimsollError when what goes on now is neither this run nor one that it watches."""
        if self._refusal is not None:
            raise self._refusal

    def holds(self) -> bool:
        """Whether the lease is this run's at this moment, as the cluster says: before something is deleted.

        A run that has not begun with a lease is by itself.
        """
        if self._thread is None:
            return True
        if not self._held:
            return False
        try:
            self._stay(now=True)
        except ApiError:
            # The server says nothing; what is to be deleted has to pass it too.
            return True
        except PlimsollError as error:
            self._lose(error)
            return False
        return True

    def notes(self) -> Mapping[str, str]:
        """What the holder does."""
        return {CLAIM: msgspec.json.encode(self._claim).decode()}

    def create(self) -> None:
        """Make the lease, and hold it."""
        super().create()
        self._hold()

    def take_over(self, found: Manifest) -> None:
        """Take a lease over, and hold it."""
        super().take_over(found)
        self._hold()

    def note(self) -> str:
        """Whose run of another directory goes on; empty without one, and for whoever may not read leases."""
        try:
            found = self.find()
        except ApiError as error:
            if error.status != 403:
                raise
            return ""
        claim = claim_of(found) if found is not None else None
        if found is None or claim is None or is_left_behind(found, datetime.now(UTC)):
            return ""
        if claim.directory == self._claim.directory:
            return ""
        return f"{claim} is under way{claimed_since(found)}, in process {claim.process}"

    def busy(self, found: Manifest | None) -> PlimsollError:
        """Whose run goes on, since when, and what to do."""
        claim = claim_of(found) if found is not None else None
        who = str(claim) if claim is not None else holder_of(found)
        place = f", in process {claim.process}" if claim is not None else ""
        if claim is not None and not claim.content:
            does = f"removes what finished runs of '{self._application}' have left"
            if claim.run != CLEAN:
                does = f"takes '{self._application}' down"
            return TargetError(
                f"{who} {does}{claimed_since(found)}{place}",
                where=self.where,
                hint="wait for its end",
            )
        if not self._claim.content and self._claim.run == CLEAN:
            message = f"{who} is under way{claimed_since(found)}{place}, and may need what would be removed"
            hint = "wait for its end, and clean then"
        elif not self._claim.content:
            message = f"{who} is under way{claimed_since(found)}{place}, and would make again what is taken down"
            hint = "have it end there with Ctrl-C, or take the application from it: plimsoll down --force"
        else:
            message = f"{who} carries out other content of '{self._application}'{claimed_since(found)}{place}"
            hint = f"wait for it, or have it end there with Ctrl-C; if it is dead, run again in {leases.DURATION} s"
        return TargetError(message, where=self.where, hint=hint, lasting=True)

    def gone(self, found: Manifest | None) -> PlimsollError:
        """Who goes on instead of this run."""
        claim = claim_of(found) if found is not None else None
        if claim is None:
            return lost("this run", found, self.where, "another")
        hint = "what it was at stays as it is; see plimsoll status"
        return TargetError(f"{claim} has taken over from this run", where=self.where, hint=hint, lasting=True)

    def question(self, found: Manifest) -> str:
        """Whether the other run was cut off."""
        return f"waiting: whether {claim_of(found) or holder_of(found)} was interrupted"

    def _take(self, found: Manifest | None, claim: Claim | None, stopped: Callable[[], bool]) -> None:
        """Take the lease when it is free. Raises _Quicker when that has changed meanwhile."""
        if found is None:
            self._or_quicker(self.create)
            self._on_taken()
            return
        if not self._is_over(found, claim):
            if not is_left_behind(found, datetime.now(UTC)):
                raise self.busy(found)
            if self._seen_alive(found, stopped):
                raise _Quicker
        self._say(f"{claim or holder_of(found)} was interrupted: this one goes on")
        self._or_quicker(lambda: self.take_over(found))
        self._on_taken()

    def _or_quicker(self, take: Callable[[], None]) -> None:
        try:
            take()
        except ApiError as error:
            if error.status == 404:
                raise _no_namespace(self._namespace) from error
            raise
        except PlimsollError as error:
            raise _Quicker from error

    def _seen_alive(self, found: Manifest, stopped: Callable[[], bool]) -> bool:
        """Whether a lease that looks left behind changes while it is watched."""
        self._say(self.question(found))
        deadline = time.monotonic() + leases.WATCHED
        while time.monotonic() < deadline:
            if stopped():
                raise self.busy(found)
            time.sleep(leases.LOOK)
            again = self.find()
            if again is None or again["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                return True
        return False

    def _may_join(self, claim: Claim) -> bool:
        return bool(self._claim.content) and claim.content == self._claim.content

    def _is_over(self, found: Manifest, claim: Claim | None) -> bool:
        """Whether nobody holds a lease any more, as far as that is certain."""
        return renewed_at(found) is None or (claim is not None and self._is_dead(claim))

    def _hold(self) -> None:
        self._held, self._watched_lease = True, None

    def _lose(self, error: PlimsollError) -> None:
        # What cannot go on for another reason still has the lease, and gives it back.
        self._held = self._held and self._lost is None
        self._refusal = error

    def _stay(self, *, now: bool = False) -> None:
        """Renew the lease; make it anew when somebody has deleted it. Raises PlimsollError when another has it."""
        try:
            self.renew(now=now)
        except ApiError:
            raise
        except PlimsollError as error:
            if self.find() is not None:
                raise
            self._lost = None
            try:
                self.create()
            except ApiError as refused:
                if refused.status in (403, 404):
                    # The namespace is at its end.
                    self._lost = error
                    raise error from refused
                raise

    def _attend(self) -> None:
        """Renew the lease while it is held, and keep its holder in sight while it is not."""
        seen, since = self._watched_lease, time.monotonic()
        while self._refusal is None and not self._ending.wait(leases.RENEWAL / 2 if self._held else leases.LOOK):
            try:
                if self._held:
                    self._stay()
                    continue
                found = self.find()
                self.require_ours(found)
                if found is None or _version(found) != _version(seen):
                    seen, since = found, time.monotonic()
                self._follow(found, time.monotonic() - since)
            except ApiError:
                # While the server says nothing, its silence says nothing of the other run either.
                since = time.monotonic()
            except _Quicker:
                continue
            except PlimsollError as error:
                self._lose(error)

    def _follow(self, found: Manifest | None, silent: float) -> None:
        """Go on watching the holder, or take its lease once it has ended. Raises TargetError for another's content."""
        before = self.joined
        if found is None:
            self.word = f"{before} has ended: this run goes on"
            self._or_quicker(self.create)
            self._on_taken()
            return
        claim = claim_of(found)
        if self._is_over(found, claim) or silent > (duration_of(found) or 0):
            self.word = f"{before} has given no sign for {silent:.0f} s: this run goes on with what it was at"
            self._or_quicker(lambda: self.take_over(found))
            self._on_taken()
            return
        if claim is None or not self._may_join(claim):
            raise self.busy(found)
        self._watched_lease = found


class _Quicker(Exception):
    """Somebody else has taken the lease meanwhile, or left it."""


def lease_name(application: str) -> str:
    """The name of the lease. Those of promotions end otherwise."""
    return f"{application}-run"


def run_lease(
    api: Api, application: str, namespace: str, state: StateDirectory, run: str, request: RunRequest
) -> RunLease:
    """The lease of an application for a run of this directory; without content in the request, for its removal."""
    claim = claim_here(api.target, state, run, request)
    return RunLease(api, application, namespace, claim, lambda other: is_dead(other, claim, state), request.say)


def _version(lease: Manifest | None) -> str:
    return str(lease["metadata"]["resourceVersion"]) if lease is not None else ""


def _no_namespace(namespace: str) -> TargetError:
    return TargetError("the namespace is gone", where=namespace, hint="run again")


def take_for_removal(lease: RunLease, api: Api, namespace: str, *, force: bool) -> None:
    """Take an application's lease. Where its namespace is gone or at its end, nobody can and nobody need."""
    try:
        if api.find("v1", "Namespace", namespace) is None:
            return
    except ApiError as error:
        if error.status != 403:
            raise
    try:
        if force:
            lease.seize()
        else:
            lease.begin()
    except ApiError as error:
        if "being terminated" not in error.message:
            raise
