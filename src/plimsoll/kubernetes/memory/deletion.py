"""The end of objects: grace, finalizers, propagation to what they own, and namespaces with their content."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest, conflict, not_found, qualified
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_NAMESPACES = ("", "namespaces")


class DeleteOptions(Struct, frozen=True, kw_only=True):
    """How to delete. `grace` is in seconds, `None` for the object's own; `policy` is a propagationPolicy or empty."""

    grace: int | None = None
    policy: str = ""
    uid: str = ""
    version: str = ""


class Deletion:
    """Deletes objects of a store. Every method is called under the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def delete(
        self, kind: ServedKind, key: Key, options: DeleteOptions, *, dry_run: bool = False
    ) -> tuple[Manifest, bool]:
        """The last state, and whether it is gone. Raises StatusError: 404, and 409 for another state or object."""
        live = self._store.get(key)
        if live is None:
            raise not_found(kind.plural, key.name, kind.group)
        _check(kind, live, options)
        if dry_run:
            return live, False
        last, gone = self._end(key, live, options)
        return self._store.get(key) or last, gone and self._store.get(key) is None

    def settle(self, key: Key, manifest: Manifest) -> None:
        """After a write: an object whose last finalizer is gone goes, and so does one whose owners are all gone."""
        metadata = manifest["metadata"]
        if metadata.get("deletionTimestamp"):
            if self._may_go(key, manifest):
                self._remove(key)
            return
        owners = metadata.get("ownerReferences") or []
        if owners and not self._living({each["uid"] for each in owners}):
            self._end(key, manifest, DeleteOptions())

    def _end(self, key: Key, live: Manifest, options: DeleteOptions) -> tuple[Manifest, bool]:
        metadata = live["metadata"]
        grace = _grace(key, live, options)
        policy = options.policy or ("Orphan" if key.resource == ("batch", "jobs") else "Background")
        if policy == "Orphan":
            self._orphan(metadata["uid"])
        finalizers = list(metadata.get("finalizers") or [])
        if policy == "Foreground" and _FOREGROUND not in finalizers and self._dependents(metadata["uid"]):
            finalizers.append(_FOREGROUND)
        if key.resource != _NAMESPACES and not finalizers and grace == 0:
            return self._remove(key), True
        fresh = _leaving(live, finalizers, grace)
        if key.resource == _NAMESPACES:
            fresh["status"] = {**(fresh.get("status") or {}), "phase": "Terminating"}
        last = self._store.put(key, fresh) if fresh != live else live
        if key.resource == _NAMESPACES:
            self._end_content(key.name)
        elif _FOREGROUND in finalizers:
            self._end_dependents(metadata["uid"])
            self._let_go(key)
        return last, self._store.get(key) is None

    def _remove(self, key: Key) -> Manifest:
        last = self._store.remove(key)
        if last is None:
            return {}
        owners = last["metadata"].get("ownerReferences") or []
        self._end_dependents(last["metadata"]["uid"])
        for each in owners:
            owner = self._by_uid(each["uid"])
            if owner is not None:
                self._let_go(owner)
        self._end_namespace(key.namespace)
        return last

    def _may_go(self, key: Key, manifest: Manifest) -> bool:
        if key.resource == _NAMESPACES:
            return not self._store.keys_in(key.name) and not manifest["metadata"].get("finalizers")
        metadata = manifest["metadata"]
        return not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")

    def _let_go(self, key: Key) -> None:
        """Take the finalizer off an object that waited for what it owns, once nothing of that is left."""
        live = self._store.get(key)
        finalizers = (live or {"metadata": {}})["metadata"].get("finalizers") or []
        if live is None or _FOREGROUND not in finalizers or self._dependents(live["metadata"]["uid"], blocking=True):
            return
        fresh = copied(live)
        fresh["metadata"]["finalizers"] = [each for each in finalizers if each != _FOREGROUND]
        self.settle(key, self._store.put(key, fresh))

    def _end_content(self, namespace: str) -> None:
        for key in list(self._store.keys_in(namespace)):
            live = self._store.get(key)
            if live is not None and not live["metadata"].get("deletionTimestamp"):
                self._end(key, live, DeleteOptions(policy="Background"))
        self._end_namespace(namespace)

    def _end_namespace(self, namespace: str) -> None:
        key = Key(*_NAMESPACES, "", namespace)
        found = self._store.get(key) if namespace else None
        if found is None or not found["metadata"].get("deletionTimestamp"):
            return
        if self._may_go(key, found):
            self._store.remove(key)
            return
        status = {**(found.get("status") or {}), "conditions": self._remaining(namespace)}
        if status != found.get("status"):
            self._store.put(key, {**copied(found), "status": status})

    def _remaining(self, namespace: str) -> list[Manifest]:
        """What a namespace waits for, in the words of its controller."""
        kinds: Counter[str] = Counter()
        finalizers: Counter[str] = Counter()
        for key in self._store.keys_in(namespace):
            kinds[qualified(key.plural, key.group)] += 1
            finalizers.update((self._store.get(key) or {"metadata": {}})["metadata"].get("finalizers") or [])
        counted = ", ".join(f"{name}. has {count} resource instances" for name, count in sorted(kinds.items()))
        held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        content, blocked = "NamespaceContentRemaining", "NamespaceFinalizersRemaining"
        told = [(content, "SomeResourcesRemain", f"Some resources are remaining: {counted}")] if counted else []
        if held:
            told.append(
                (blocked, "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {held}")
            )
        return [{"type": kind, "status": "True", "reason": why, "message": words} for kind, why, words in told]

    def _dependents(self, uid: str, *, blocking: bool = False) -> list[Key]:
        found = []
        for key in self._store.keys_in():
            live = self._store.get(key) or {"metadata": {}}
            for each in live["metadata"].get("ownerReferences") or []:
                if each["uid"] == uid and (each.get("blockOwnerDeletion") or not blocking):
                    found.append(key)
        return found

    def _end_dependents(self, uid: str) -> None:
        for key in self._dependents(uid):
            live = self._store.get(key)
            if live is None or live["metadata"].get("deletionTimestamp"):
                continue
            others = {each["uid"] for each in live["metadata"]["ownerReferences"]} - {uid}
            if not self._living(others):
                self._end(key, live, DeleteOptions(policy="Background"))

    def _orphan(self, uid: str) -> None:
        for key in self._dependents(uid):
            fresh = copied(self._store.get(key))
            kept = [each for each in fresh["metadata"]["ownerReferences"] if each["uid"] != uid]
            fresh["metadata"]["ownerReferences"] = kept
            if not kept:
                del fresh["metadata"]["ownerReferences"]
            self._store.put(key, fresh)

    def _living(self, uids: set[str]) -> bool:
        return any(self._by_uid(uid) is not None for uid in uids)

    def _by_uid(self, uid: str) -> Key | None:
        for key in self._store.keys_in():
            live = self._store.get(key)
            if live is not None and live["metadata"]["uid"] == uid:
                return key
        return None


def _check(kind: ServedKind, live: Manifest, options: DeleteOptions) -> None:
    metadata = live["metadata"]
    for name, wanted, found in (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.version, metadata["resourceVersion"]),
    ):
        if wanted and wanted != found:
            told = f"Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {found}"
            raise conflict(kind.plural, metadata["name"], kind.group, told)


def _grace(key: Key, live: Manifest, options: DeleteOptions) -> int:
    """Seconds that an object still has. Only pods on a node that have not ended have any."""
    if key.resource != ("", "pods"):
        return 0
    over = (live.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if over or not live["spec"].get("nodeName"):
        return 0
    grace = options.grace if options.grace is not None else live["spec"].get("terminationGracePeriodSeconds", 30)
    given: int = max(1, grace) if grace < 0 else grace
    left = live["metadata"].get("deletionGracePeriodSeconds")
    # A second request can only hurry.
    return given if left is None else min(left, given)


def _leaving(live: Manifest, finalizers: list[str], grace: int) -> Manifest:
    fresh: Manifest = copied(live)
    metadata = fresh["metadata"]
    if finalizers:
        metadata["finalizers"] = finalizers
    first = "deletionTimestamp" not in metadata
    if first or grace < metadata.get("deletionGracePeriodSeconds", 0):
        end = datetime.now(UTC) + timedelta(seconds=grace)
        metadata["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["deletionGracePeriodSeconds"] = grace
    if first and metadata.get("generation"):
        metadata["generation"] += 1
    return fresh
