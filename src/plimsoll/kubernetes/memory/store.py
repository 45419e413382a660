"""Objects by their key, with the history of their changes: what a watch is told, and what a list goes on with."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence

from msgspec import Struct

from plimsoll.kubernetes.memory.refusals import Manifest, expired
from plimsoll.kubernetes.memory.values import copied

_FIRST_VERSION = 100


class Key(Struct, frozen=True, order=True):
    """Where an object lies; the namespace is empty for kinds of the cluster."""

    group: str
    plural: str
    namespace: str
    name: str

    @property
    def resource(self) -> tuple[str, str]:
        """The group and the plural name."""
        return self.group, self.plural


class StoredChange(Struct, frozen=True, kw_only=True):
    """One write. `before` is the object until then, `after` from then on; one of them is `None` at either end.

    `object` is what a watch tells: after a deletion the last state, under the version of the deletion.
    """

    version: int
    key: Key
    object: Manifest
    before: Manifest | None
    after: Manifest | None


class Store:
    """All objects of a cluster. What it gives is never changed afterwards, and must not be changed by its readers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._version = _FIRST_VERSION
        self._oldest = _FIRST_VERSION
        self._objects: dict[tuple[str, str], dict[Key, Manifest]] = {}
        self._history: list[StoredChange] = []
        self._pages: dict[str, tuple[int, list[Manifest]]] = {}

    @property
    def version(self) -> int:
        """The resource version of the last write."""
        with self.lock:
            return self._version

    @property
    def oldest(self) -> int:
        """The oldest resource version from which a watch can still begin."""
        with self.lock:
            return self._oldest

    def get(self, key: Key) -> Manifest | None:
        """One object."""
        with self.lock:
            return self._objects.get(key.resource, {}).get(key)

    def list(self, resource: tuple[str, str], namespace: str = "") -> Sequence[Manifest]:
        """Objects of a resource in the order of namespace and name; of all namespaces when none is given."""
        with self.lock:
            found = self._objects.get(resource, {})
            return [found[key] for key in sorted(found) if namespace in ("", key.namespace)]

    def keys_in(self, namespace: str = "") -> Sequence[Key]:
        """Keys of everything, or of everything in a namespace."""
        with self.lock:
            return [key for found in self._objects.values() for key in found if namespace in ("", key.namespace)]

    def put(self, key: Key, manifest: Manifest) -> Manifest:
        """Write an object under the next resource version; gives it as it is kept."""
        with self.lock:
            self._version += 1
            after: Manifest = copied(manifest)
            after["metadata"]["resourceVersion"] = str(self._version)
            objects = self._objects.setdefault(key.resource, {})
            before = objects.get(key)
            objects[key] = after
            self._tell(StoredChange(version=self._version, key=key, object=after, before=before, after=after))
            return after

    def remove(self, key: Key) -> Manifest | None:
        """Take an object away; gives its last state, or `None` when it was not there."""
        with self.lock:
            before = self._objects.get(key.resource, {}).pop(key, None)
            if before is None:
                return None
            self._version += 1
            last: Manifest = copied(before)
            last["metadata"]["resourceVersion"] = str(self._version)
            self._tell(StoredChange(version=self._version, key=key, object=last, before=before, after=None))
            return last

    def _tell(self, change: StoredChange) -> None:
        self._history.append(change)
        self._changed.notify_all()

    def since(self, version: int) -> Sequence[StoredChange]:
        """Changes after a version. Raises StatusError (410) when they are forgotten."""
        with self.lock:
            if version < self._oldest:
                raise expired(f"too old resource version: {version} ({self._oldest})")
            # The history has no gaps: the place of a version follows from the last one's.
            count = self._version - version
            return self._history[-count:] if count > 0 else []

    def pause(self, seconds: float) -> bool:
        """Wait for a change or for `wake`, under the lock; false when neither came in so many seconds."""
        return seconds > 0 and self._changed.wait(seconds)

    def wake(self) -> None:
        """Have everybody look who waits in `pause`."""
        with self.lock:
            self._changed.notify_all()

    def compact(self) -> None:
        """Forget the history: older watches and continue tokens end with 410."""
        with self.lock:
            self._oldest = self._version
            self._history.clear()
            self._pages.clear()
            self._changed.notify_all()

    def keep_page(self, version: int, rest: Iterable[Manifest]) -> str:
        """Keep the rest of a list as it was; gives the token that it is asked for with."""
        with self.lock:
            token = secrets.token_urlsafe(12)
            self._pages[token] = (version, list(rest))
            return token

    def page(self, token: str) -> tuple[int, Sequence[Manifest]]:
        """The rest of a list with the version that it is of. Raises StatusError (410) when it is forgotten."""
        with self.lock:
            if token not in self._pages:
                raise expired("The provided continue parameter is too old to display a consistent list result.")
            return self._pages[token]
