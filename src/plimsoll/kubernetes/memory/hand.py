"""Objects at hand for tests and controllers, in the same process: by the server's rules, without HTTP or rights."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.kubernetes.memory import selectors
from plimsoll.kubernetes.memory.deletion import DeleteOptions
from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.objects import By, Objects, furnish
from plimsoll.kubernetes.memory.reading import shown
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError
from plimsoll.kubernetes.memory.requests import ADMINISTRATORS, ApiPath, User
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied, now


class Hand:
    """Reads and writes objects as one field manager."""

    def __init__(self, objects: Objects, manager: str) -> None:
        self._objects = objects
        user = User(name=f"system:{manager}", groups=(ADMINISTRATORS, "system:authenticated"))
        self._by = By(user=user, manager=manager)

    @property
    def store(self) -> Store:
        """Where the objects lie."""
        return self._objects.store

    def kind(self, api_version: str, kind: str) -> ServedKind:
        """A served kind. Raises KeyError for one that is not served."""
        found = self._objects.kinds.by_kind(api_version, kind)
        if found is None:
            raise KeyError(f"this cluster does not serve {kind} of {api_version}: name its add-on, or `serve` it")
        return found

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether a kind is served."""
        return self._objects.kinds.by_kind(api_version, kind) is not None

    def place(self, api_version: str, kind: str, namespace: str = "", name: str = "", part: str = "") -> ApiPath:
        """Where an object lies. Raises KeyError for a kind that is not served."""
        found = self.kind(api_version, kind)
        return ApiPath(kind=found, namespace=namespace if found.namespaced else "", name=name, subresource=part)

    def create(self, manifest: Manifest) -> Manifest:
        """A new object. Raises StatusError, and KeyError for a kind that is not served."""
        metadata = manifest["metadata"]
        place = self.place(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""))
        return copied_as(place.kind, self._objects.create(place, manifest, self._by))

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """One object, or `None`."""
        place = self.place(api_version, kind, namespace, name)
        found = self.store.get(place.key)
        return copied_as(place.kind, found) if found is not None else None

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest:
        """One object. Raises StatusError (404)."""
        place = self.place(api_version, kind, namespace, name)
        return copied_as(place.kind, self._objects.get(place))

    def list(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """Objects of a kind; of all namespaces when none is given."""
        found, test = self.kind(api_version, kind), selectors.of_labels(selector)
        return [copied_as(found, each) for each in self.store.list(found.resource, namespace) if test(each)]

    def change(self, manifest: Manifest, change: Callable[[Manifest], None], part: str = "") -> Manifest | None:
        """Change an object in place by a function, of `part` when it is `status`; `None` when it is gone by then."""
        metadata = manifest["metadata"]
        place = self.place(
            manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"], part
        )

        def changed(live: Manifest) -> tuple[Manifest, None]:
            change(live)
            return live, None

        try:
            return copied_as(place.kind, self._objects.change(place, changed, self._by))
        except StatusError as refusal:
            if refusal.code != 404:
                raise
            return None

    def set_status(self, manifest: Manifest, status: Manifest) -> Manifest | None:
        """Merge fields into an object's status; `None` when it is gone by then."""

        def change(live: Manifest) -> None:
            live["status"] = {**(live.get("status") or {}), **copied(status)}

        return self.change(manifest, change, "status")

    def delete(self, manifest: Manifest, grace: int | None = None, policy: str = "Background") -> None:
        """Ask for an object's end; one that is gone already is left so."""
        metadata = manifest["metadata"]
        place = self.place(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        try:
            self._objects.delete(place, DeleteOptions(grace=grace, policy=policy), self._by)
        except StatusError as refusal:
            if refusal.code != 404:
                raise

    def put(self, manifest: Manifest) -> Manifest:
        """Have an object exactly so, with its status, whether it was there or not: for what a test begins with.

        Nobody is asked, and nothing is checked; its namespace is made when it is missing.
        """
        metadata = manifest["metadata"]
        place = self.place(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        key, fresh = place.key, copied(manifest)
        with self.store.lock:
            if key.namespace:
                ensure_namespace(self.store, key.namespace)
            old = (self.store.get(key) or {"metadata": {}})["metadata"]
            made = fresh["metadata"]
            made.setdefault("uid", old.get("uid") or f"uid-{key.plural}-{key.namespace}-{key.name}")
            made.setdefault("creationTimestamp", old.get("creationTimestamp") or now())
            if place.kind.generation:
                made.setdefault("generation", 1)
            kept = self.store.put(key, fresh)
        self._objects.follow()
        return copied_as(place.kind, kept)


def ensure_namespace(store: Store, name: str) -> None:
    """Have a namespace, with what every namespace has. Called under the store's lock."""
    key = Key("", "namespaces", "", name)
    if store.get(key) is None:
        metadata = {
            "name": name,
            "uid": f"uid-namespace-{name}",
            "creationTimestamp": now(),
            "labels": {"kubernetes.io/metadata.name": name},
        }
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        store.put(key, {**made, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
        furnish(store, name)


def copied_as(kind: ServedKind, manifest: Manifest) -> Manifest:
    """A copy of an object that its reader may change."""
    found: Manifest = copied(shown(kind, manifest))
    return found
