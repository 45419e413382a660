"""The one way by which an application's objects are written: what stands is read first, and others' is left alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import FIELD_MANAGER, Api, ApiError, Manifest
from plimsoll.kubernetes.comparing import differences
from plimsoll.kubernetes.field_managers import added, conflicts, others, sharers
from plimsoll.targets.kubernetes.ownership import is_same, owner, refusal

LEAVING_LIMIT = 60.0
"""Seconds for an object of before to be gone that is being deleted."""
_LOOK = 0.3
_TRIES = 5
"""Times that an object is looked at anew that others write to at the same moment."""
_AT_ONCE = 8


class Problem(Struct, frozen=True, kw_only=True):
    """An object that is not as its manifest says. `gone` says that it is not there, or is about to go."""

    manifest: Manifest
    sentence: str
    gone: bool = False


class OwnObjects:
    """The objects of one application in one namespace. Can be used from several threads."""

    def __init__(self, api: Api, application: str, namespace: str) -> None:
        self._api = api
        self._application = application
        self._namespace = namespace

    def find(self, manifest: Manifest) -> Manifest | None:
        """The object of a manifest's name as it stands, whoever's it is."""
        place = (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])
        found = self._api.find(*place, self._namespace)
        return None if found is None else {**found, "apiVersion": place[0], "kind": place[1]}

    def require(self, manifests: Sequence[Manifest]) -> list[str]:
        """Look whether all of them may be written, before any is; gives the names of others who manage them too.

        Raises TargetError for one that is another's.
        """
        known: dict[str, None] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for wanted, found in zip(manifests, pool.map(self.find, manifests), strict=True):
                if found is not None:
                    self._check(wanted, found)
                    known |= dict.fromkeys(sharers(found))
        return list(known)

    def problems(self, manifests: Sequence[Manifest]) -> list[Problem]:
        """What is not as the manifests say, one for each object. What the user may not read is taken for good."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [problem for problem in pool.map(self._problem, manifests) if problem is not None]

    def apply(self, manifest: Manifest) -> str:
        """Have an object as its manifest says; gives in words what somebody else had made of it, mostly nothing.

        Raises TargetError when an object of this name is another's, and when one of before does not end.
        """
        wanted = self._placed(manifest)
        for attempt in range(_TRIES):
            found = self._lasting(wanted)
            try:
                return self._begin(wanted) if found is None else self._change(wanted, found)
            except ApiError as error:
                if error.status != 409 or attempt == _TRIES - 1:
                    raise
        return ""

    def patch(self, found: Manifest, change: Manifest) -> None:
        """Merge a change into an object that was found to be the application's, and into no other of its name."""
        self._check(found, found)
        exactly = {"uid": found["metadata"]["uid"]}
        self._api.patch(found, {**change, "metadata": {**change.get("metadata", {}), **exactly}})

    def delete(self, manifest: Manifest, grace: int | None = None) -> bool:
        """Ask for the end of an object, if it is the application's; gives whether it was."""
        place = (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"], self._namespace)
        for attempt in range(_TRIES):
            found = self.find(manifest)
            if found is None or not is_same(self._application, manifest, found):
                return False
            exactly = {"uid": found["metadata"]["uid"]}
            # What controllers write to all the time is known by its uid alone in the end.
            if attempt < _TRIES - 1:
                exactly["resourceVersion"] = found["metadata"]["resourceVersion"]
            try:
                self._api.delete(*place, grace=grace, exactly=exactly)
            except ApiError as error:
                if error.status != 409:
                    raise
                continue
            return True
        return False

    def _begin(self, wanted: Manifest) -> str:
        """Make an object that is not there. One that somebody else makes at the same moment is left as it was."""
        made = self._api.apply(wanted, force=False)
        if not others(made):
            return ""
        # Fields that nobody else has set go with our last word on them.
        metadata = {"name": wanted["metadata"]["name"], "namespace": self._namespace}
        self._api.apply({"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": metadata}, force=False)
        return self._change(wanted, self.find(wanted) or made)

    def _change(self, wanted: Manifest, found: Manifest) -> str:
        """Have what stands as it is wanted. Raises TargetError when it is another's."""
        self._check(wanted, found)
        exactly = {**wanted, "metadata": {**wanted["metadata"], "uid": found["metadata"]["uid"]}}
        try:
            self._api.apply(exactly, force=False)
        except ApiError as error:
            owners = conflicts(error)
            if owners is None:
                raise
            self._api.apply(exactly)
            return _told(wanted, owners)
        return ""

    def _check(self, wanted: Manifest, found: Manifest) -> None:
        if not is_same(self._application, wanted, found):
            raise refusal(self._application, wanted, found, self._namespace)

    def _lasting(self, wanted: Manifest) -> Manifest | None:
        """What stands, once what is leaving is gone."""
        deadline = time.monotonic() + LEAVING_LIMIT
        while (found := self.find(wanted)) is not None and found["metadata"].get("deletionTimestamp"):
            self._check(wanted, found)
            if time.monotonic() > deadline:
                held = ", ".join(found["metadata"].get("finalizers") or []) or "none"
                raise TargetError(
                    f"{_name(wanted)} is being deleted and did not end within {LEAVING_LIMIT:g} s",
                    where=f"namespace {self._namespace}",
                    hint=f"see who takes its finalizers off: {held}",
                )
            time.sleep(_LOOK)
        return found

    def _problem(self, wanted: Manifest) -> Problem | None:
        try:
            found = self.find(wanted)
        except ApiError as error:
            if error.status != 403:
                raise
            return None
        gone, words = self._wrong(wanted, found)
        return Problem(manifest=wanted, sentence=f"{_name(wanted)} {words}", gone=gone) if words else None

    def _wrong(self, wanted: Manifest, found: Manifest | None) -> tuple[bool, str]:
        """Whether it is gone, and what is wrong with it in words; without words nothing is."""
        if found is None:
            return True, "is gone"
        if not is_same(self._application, wanted, found):
            return True, f"is somebody else's: {owner(found)}"
        if found["metadata"].get("deletionTimestamp"):
            return True, "is being deleted"
        if paths := differences(wanted, found):
            return False, f"is not as it should be in {_listed(paths)}"
        beside = added(found, wanted)
        return False, f"has fields that others have set: {_by_whom(beside)}" if beside else ""

    def _placed(self, manifest: Manifest) -> Manifest:
        return {**manifest, "metadata": {**manifest["metadata"], "namespace": self._namespace}}


def _told(wanted: Manifest, owners: Mapping[str, Sequence[str]]) -> str:
    theirs = {manager: fields for manager, fields in owners.items() if manager != FIELD_MANAGER}
    if not theirs:
        return ""
    return f"{_name(wanted)} is as the application says again; others had set fields of it: {_by_whom(theirs)}"


def _by_whom(fields: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{_listed(paths)} by {manager}" for manager, paths in fields.items())


def _listed(paths: Iterable[str]) -> str:
    listed = list(paths)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"
