"""CustomResourceDefinitions: the kinds that they have served, and their objects' end with them."""

from __future__ import annotations

from plimsoll.kubernetes.memory.kinds import ServedKind, ServedKinds
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied, now

_DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")


class Definitions:
    """Follows the definitions of a store."""

    def __init__(self, kinds: ServedKinds, store: Store) -> None:
        self._kinds = kinds
        self._store = store
        self._served: dict[str, tuple[str, str]] = {}
        self._seen: dict[str, int] = {}

    def follow(self) -> None:
        """Serve what is defined now, and no longer what was. Called under the store's lock after every write."""
        found = {each["metadata"]["name"]: each for each in self._store.list(_DEFINITIONS)}
        for name in self._served.keys() - found.keys():
            resource = self._served.pop(name)
            self._kinds.remove(*resource)
            for each in self._store.list(resource):
                metadata = each["metadata"]
                self._store.remove(Key(*resource, metadata.get("namespace", ""), metadata["name"]))
        for name, each in found.items():
            generation = each["metadata"].get("generation", 1)
            if name in self._served and self._seen.get(name) == generation:
                continue
            resource = (each["spec"]["group"], each["spec"]["names"]["plural"])
            self._kinds.remove(*resource)
            self._kinds.add(*_kinds(each["spec"]))
            self._served[name], self._seen[name] = resource, generation
            self._establish(name, each)

    def _establish(self, name: str, definition: Manifest) -> None:
        fresh = copied(definition)
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": ""}
            for kind, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
        ]
        versions = [each["name"] for each in definition["spec"]["versions"] if each.get("storage")]
        names = definition["spec"]["names"]
        fresh["status"] = {"conditions": conditions, "acceptedNames": names, "storedVersions": versions}
        self._store.put(Key(*_DEFINITIONS, "", name), fresh)


def _kinds(spec: Manifest) -> list[ServedKind]:
    return [
        ServedKind(
            group=spec["group"],
            version=version["name"],
            kind=spec["names"]["kind"],
            plural=spec["names"]["plural"],
            namespaced=spec["scope"] == "Namespaced",
            subresources=frozenset(version.get("subresources") or {}),
            generation=True,
            custom=True,
            schema=(version.get("schema") or {}).get("openAPIV3Schema") or {},
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]
