"""Objects created, changed and deleted by the rules of an API server, whoever asks: a client or a controller."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from msgspec import Struct

from plimsoll.kubernetes.memory import managers, quotas
from plimsoll.kubernetes.memory.admission import Admission, Admitters
from plimsoll.kubernetes.memory.applying import applied
from plimsoll.kubernetes.memory.defaults import fill
from plimsoll.kubernetes.memory.definitions import Definitions
from plimsoll.kubernetes.memory.deletion import DeleteOptions, Deletion
from plimsoll.kubernetes.memory.kinds import ServedKind, ServedKinds
from plimsoll.kubernetes.memory.managers import APPLY, UPDATE, Manager, Owners
from plimsoll.kubernetes.memory.names import generated
from plimsoll.kubernetes.memory.refusals import (
    MODIFIED,
    Cause,
    Manifest,
    StatusError,
    bad_request,
    conflict,
    exists,
    invalid,
    not_found,
)
from plimsoll.kubernetes.memory.requests import ApiPath, User
from plimsoll.kubernetes.memory.schemas import fitted
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied, now

_TRIES = 20
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName")


class By(Struct, frozen=True, kw_only=True):
    """Who changes something, under which field manager, and whether it is only tried."""

    user: User
    manager: str
    dry_run: bool = False


StoredChange = Callable[[Manifest], tuple[Manifest, Owners | None]]
"""From an object as it is to what it is to be, and the owners of its fields when the change itself settles them."""


class Objects:
    """The objects of a cluster, behind the rules. Can be used from several threads; hooks are called without a lock."""

    def __init__(self, store: Store, kinds: ServedKinds) -> None:
        self.store = store
        self.kinds = kinds
        self.admitters = Admitters(store)
        self.deletion = Deletion(store)
        self._definitions = Definitions(kinds, store)

    def get(self, place: ApiPath) -> Manifest:
        """One object as it is kept. Raises StatusError (404)."""
        found = self.store.get(place.key)
        if found is None:
            raise not_found(place.kind.plural, place.name, place.kind.group)
        return found

    def create(self, place: ApiPath, manifest: Manifest, by: By) -> Manifest:
        """A new object. Raises StatusError."""
        return self._create(place, manifest, by, lambda made: self._owned(place.kind, made, by))

    def _create(self, place: ApiPath, manifest: Manifest, by: By, own: Callable[[Manifest], None]) -> Manifest:
        kind = place.kind
        fresh = _of_kind(copied(manifest), place)
        metadata = fresh["metadata"]
        if metadata.get("resourceVersion"):
            raise StatusError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generated(metadata["generateName"])
        name = metadata.get("name", "")
        self.admitters.check_namespace(kind, place.namespace, name)
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
            metadata.pop(field, None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if kind.generation:
            metadata["generation"] = 1
        if kind.has_status:
            fresh.pop("status", None)
        asked = _asked("create", place, name, by, fresh, None)
        fresh = _complete(kind, self.admitters.changed(asked))
        kind_check(kind, fresh)
        self.admitters.check(_asked("create", place, name, by, fresh, None))
        own(fresh)
        key = Key(kind.group, kind.plural, place.namespace, name)
        with self.store.lock:
            if self.store.get(key) is not None:
                raise exists(kind.plural, name, kind.group)
            self.admitters.check_namespace(kind, place.namespace, name)
            if by.dry_run:
                return fresh
            made = self.store.put(key, fresh)
            self._settle(kind, key, made)
            return self.store.get(key) or made

    def replace(self, place: ApiPath, manifest: Manifest, by: By) -> Manifest:
        """An object replaced as a whole. Raises StatusError: 409 when it was read before another's change."""
        fresh = _of_kind(copied(manifest), place)
        version = fresh["metadata"].get("resourceVersion")
        if not version and place.kind.custom:
            cause = Cause(field="metadata.resourceVersion", message="Invalid value: 0: must be specified for an update")
            raise invalid(place.kind.kind, place.name, place.kind.group, [cause])
        return self.change(place, lambda _: (fresh, None), by)

    def change(self, place: ApiPath, change: StoredChange, by: By) -> Manifest:
        """An object changed by a function of what it is; tried again when another was quicker. Raises StatusError."""
        for _ in range(_TRIES):
            done = self._try_change(place, change, by)
            if done is not None:
                return done
        raise conflict(place.kind.plural, place.name, place.kind.group, MODIFIED)

    def apply(self, place: ApiPath, manifest: Manifest, by: By, *, force: bool) -> tuple[Manifest, bool]:
        """Server-side apply; gives the object and whether it is new. Raises StatusError."""
        if "managedFields" in (manifest.get("metadata") or {}):
            raise bad_request("metadata.managedFields must be nil")
        wanted = _of_kind(copied(manifest), place)
        manager = Manager(name=by.manager, operation=APPLY, subresource=place.subresource)
        owned_kind = place.kind
        if place.kind.has_status and place.subresource != "status":
            wanted.pop("status", None)

        def own(made: Manifest) -> None:
            managers.write(made, applied(owned_kind, {"metadata": {}}, wanted, manager, force=True)[1])

        if self.store.get(place.key) is None:
            if place.subresource:
                raise not_found(place.kind.plural, place.name, place.kind.group)
            if wanted["metadata"].get("uid"):
                why = f"uid mismatch: the provided object specified uid {wanted['metadata']['uid']}, and no existing "
                raise conflict(place.kind.plural, place.name, place.kind.group, f"{why}object was found")
            try:
                return self._create(place, wanted, by, own), True
            except StatusError as refusal:
                if refusal.reason != "AlreadyExists":
                    raise

        def merge(live: Manifest) -> tuple[Manifest, Owners | None]:
            return applied(owned_kind, live, wanted, manager, force=force)

        return self.change(place, merge, by), False

    def delete(self, place: ApiPath, options: DeleteOptions, by: By) -> tuple[Manifest, bool]:
        """Ask for an object's end; gives its last state and whether it is gone. Raises StatusError."""
        live = self.get(place)
        self.admitters.check_deletion(_asked("delete", place, place.name, by, None, live))
        with self.store.lock:
            last, gone = self.deletion.delete(place.kind, place.key, options, dry_run=by.dry_run)
            self._after_deletion(place)
        return last, gone

    def follow(self) -> None:
        """Serve what the definitions in the store say, after they were written past the rules."""
        with self.store.lock:
            self._definitions.follow()

    def _after_deletion(self, place: ApiPath) -> None:
        self._definitions.follow()
        quotas.refresh(self.store, place.namespace)

    def _try_change(self, place: ApiPath, change: StoredChange, by: By) -> Manifest | None:
        kind, live = place.kind, self.get(place)
        fresh, owners = change(copied(live))
        fresh = _of_kind(fresh, place)
        _same(place, live, fresh)
        fresh = _kept(place, live, fresh)
        asked = _asked("update", place, place.name, by, fresh, live)
        fresh = _kept(place, live, _complete(kind, self.admitters.changed(asked)))
        kind_check(kind, fresh, live)
        self.admitters.check(_asked("update", place, place.name, by, fresh, live))
        _count(kind, live, fresh)
        if owners is None:
            manager = Manager(name=by.manager, operation=UPDATE, subresource=place.subresource)
            owners = managers.updated(kind, live, fresh, managers.read(live), manager)
        managers.write(fresh, owners)
        with self.store.lock:
            if self.store.get(place.key) is not live:
                return None
            if _plain(fresh) == _plain(live):
                return live
            if by.dry_run:
                return fresh
            made = self.store.put(place.key, fresh)
            self._settle(kind, place.key, made)
            return made

    def _settle(self, kind: ServedKind, key: Key, made: Manifest) -> None:
        """What follows from a write at once, as far as the server itself sees to it."""
        self.deletion.settle(key, made)
        self._definitions.follow()
        if kind.resource == ("", "namespaces"):
            furnish(self.store, key.name)
        quotas.refresh(self.store, key.namespace)

    def _owned(self, kind: ServedKind, made: Manifest, by: By) -> None:
        manager = Manager(name=by.manager, operation=UPDATE)
        # Nobody owns what the server itself writes into the status.
        mine = {key: value for key, value in made.items() if key != "status" or not kind.has_status}
        managers.write(made, managers.updated(kind, None, mine, {}, manager))


def kind_check(kind: ServedKind, manifest: Manifest, before: Manifest | None = None) -> None:
    """Raises StatusError (422) for an object that is not valid."""
    from plimsoll.kubernetes.memory.validation import check

    check(kind, manifest, before)


def furnish(store: Store, namespace: str) -> None:
    """What every namespace has: the account of its pods, and the cluster's certificate authority."""
    if (store.get(Key("", "namespaces", "", namespace)) or {"metadata": {"deletionTimestamp": 1}})["metadata"].get(
        "deletionTimestamp"
    ):
        return
    content: tuple[tuple[str, str, str, Manifest], ...] = (
        ("ServiceAccount", "serviceaccounts", "default", {}),
        ("ConfigMap", "configmaps", "kube-root-ca.crt", CA),
    )
    for kind, plural, name, more in content:
        key = Key("", plural, namespace, name)
        if store.get(key) is None:
            metadata = {"name": name, "namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
            store.put(key, {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more})


CA: Manifest = {"data": {"ca.crt": ""}}


def _of_kind(manifest: Manifest, place: ApiPath) -> Manifest:
    """The manifest as one of its place. Raises StatusError (400) when it says that it is of another."""
    kind = place.kind
    if not isinstance(manifest, dict):
        raise bad_request(f"the body is no {kind.kind}")
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if manifest.get(field, wanted) != wanted:
            told = f"the {field} in the data ({manifest[field]}) does not match the expected {field} ({wanted})"
            raise bad_request(told)
        manifest[field] = wanted
    metadata = manifest["metadata"] = manifest.get("metadata") or {}
    if place.name and metadata.setdefault("name", place.name) != place.name:
        told = f"the name of the object ({metadata['name']}) does not match the name on the URL ({place.name})"
        raise bad_request(told)
    if kind.namespaced:
        if metadata.setdefault("namespace", place.namespace) != place.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata.pop("namespace", None)
    return manifest


def _same(place: ApiPath, live: Manifest, fresh: Manifest) -> None:
    """Raises StatusError (409) when the change was made from an older state, or means another object of that name."""
    wanted, known = fresh["metadata"], live["metadata"]
    if wanted.get("uid", known["uid"]) != known["uid"]:
        told = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {known['uid']}"
        raise conflict(place.kind.plural, place.name, place.kind.group, told)
    if (wanted.get("resourceVersion") or known["resourceVersion"]) != known["resourceVersion"]:
        raise conflict(place.kind.plural, place.name, place.kind.group, MODIFIED)


def _kept(place: ApiPath, live: Manifest, fresh: Manifest) -> Manifest:
    """The change without what it may not touch: the server's own metadata, and status or all but status."""
    kept: Manifest = copied(live)
    if place.subresource == "status":
        if "status" in fresh:
            kept["status"] = fresh["status"]
        return kept
    metadata = fresh["metadata"]
    for field in (*_KEPT, "resourceVersion", "managedFields"):
        metadata.pop(field, None)
        if field in live["metadata"]:
            metadata[field] = kept["metadata"][field]
    if place.kind.has_status:
        fresh.pop("status", None)
        if "status" in kept:
            fresh["status"] = kept["status"]
    return fresh


def _complete(kind: ServedKind, manifest: Manifest) -> Manifest:
    if kind.custom and kind.schema:
        return fitted(kind.schema, manifest)
    fill(kind, manifest)
    return manifest


def _count(kind: ServedKind, live: Manifest, fresh: Manifest) -> None:
    """A generation counts changes of what is wanted: neither metadata nor status."""
    apart = {"metadata"} | ({"status"} if kind.has_status or not kind.custom else set())
    if kind.generation and any(fresh.get(key) != live.get(key) for key in (fresh.keys() | live.keys()) - apart):
        fresh["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1


def _plain(manifest: Manifest) -> Manifest:
    """An object as it is compared: times of field managers do not count."""
    found: Manifest = {**manifest, "metadata": {**manifest["metadata"]}}
    entries = found["metadata"].get("managedFields") or []
    found["metadata"]["managedFields"] = sorted(
        [{**each, "time": ""} for each in entries], key=lambda each: (each["manager"], each["operation"])
    )
    return found


def _asked(
    verb: str, place: ApiPath, name: str, by: By, manifest: Manifest | None, before: Manifest | None
) -> Admission:
    return Admission(
        verb=verb,
        kind=place.kind,
        namespace=place.namespace,
        name=name,
        subresource=place.subresource,
        user=by.user,
        dry_run=by.dry_run,
        object=manifest,
        before=before,
    )
