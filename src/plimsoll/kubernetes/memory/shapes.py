"""How lists and maps of objects are merged: by a key, as a set, or as one value.

Source: the markers listType, listMapKey and mapType of Kubernetes' types. In a CustomResourceDefinition the schema says
so. Without a schema, parts of custom kinds that carry Kubernetes' own names (containers, conditions) are as in those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest

Fields = tuple[str, ...]


class Shape(Struct, frozen=True):
    """`by` is `key` (then `keys` says which fields), `set`, `atomic` or, for maps, `fields`."""

    by: Literal["key", "set", "atomic", "fields"]
    keys: tuple[str, ...] = ()


ATOMIC, SET, BY_FIELDS = Shape("atomic"), Shape("set"), Shape("fields")
_NAME, _TYPE = Shape("key", ("name",)), Shape("key", ("type",))
_LISTS: Mapping[str, Shape] = {
    "containers": _NAME,
    "initContainers": _NAME,
    "ephemeralContainers": _NAME,
    "env": _NAME,
    "volumes": _NAME,
    "imagePullSecrets": _NAME,
    "resourceClaims": _NAME,
    "schedulingGates": _NAME,
    "replicatedJobs": _NAME,
    "listeners": _NAME,
    "conditions": _TYPE,
    "volumeMounts": Shape("key", ("mountPath",)),
    "volumeDevices": Shape("key", ("devicePath",)),
    "hostAliases": Shape("key", ("ip",)),
    "podIPs": Shape("key", ("ip",)),
    "topologySpreadConstraints": Shape("key", ("topologyKey", "whenUnsatisfiable")),
    "ownerReferences": Shape("key", ("uid",)),
    "finalizers": SET,
}
_CONTAINER_PORT = Shape("key", ("containerPort", "protocol"))
_SERVICE_PORT = Shape("key", ("port", "protocol"))
_MAPS = frozenset(
    {
        "configMapKeyRef",
        "fieldRef",
        "involvedObject",
        "labelSelector",
        "namespaceSelector",
        "nodeSelector",
        "podSelector",
        "resourceFieldRef",
        "scaleTargetRef",
        "secretKeyRef",
        "selector",
    }
)
_DEFAULTS = {"protocol": "TCP"}


def shape_of(kind: ServedKind, fields: Fields, value: Any) -> Shape:
    """How a list or a map is merged; `fields` are the names that lead to it, without the items of lists."""
    if kind.custom and kind.schema:
        return _of_schema(kind.schema, fields, value)
    if isinstance(value, dict):
        return ATOMIC if fields and fields[-1] in _MAPS else BY_FIELDS
    if not fields:
        return ATOMIC
    if fields[-1] == "ports":
        if kind.plural == "services" and fields == ("spec", "ports"):
            return _SERVICE_PORT
        return _CONTAINER_PORT if len(fields) > 1 and fields[-2].lower().endswith("containers") else ATOMIC
    return _LISTS.get(fields[-1], ATOMIC)


def _of_schema(schema: Manifest, fields: Fields, value: Any) -> Shape:
    if fields[:1] == ("metadata",):
        return _LISTS.get(fields[-1], ATOMIC) if isinstance(value, list) else BY_FIELDS
    found: Manifest = schema
    for name in fields:
        while "items" in found:
            found = found["items"]
        properties = found.get("properties") or {}
        further = found.get("additionalProperties")
        found = properties.get(name) or (further if isinstance(further, dict) else {})
    if isinstance(value, dict):
        return ATOMIC if found.get("x-kubernetes-map-type") == "atomic" else BY_FIELDS
    kind = found.get("x-kubernetes-list-type", "atomic")
    if kind == "map":
        return Shape("key", tuple(found.get("x-kubernetes-list-map-keys") or ()))
    return SET if kind == "set" else ATOMIC


def element(shape: Shape, item: Any) -> str:
    """An item of a list as FieldsV1 names it, `k:{...}` or `v:...`."""
    if shape.by == "set":
        return f"v:{json.dumps(item)}"
    found = {key: item.get(key, _DEFAULTS.get(key)) for key in shape.keys}
    return f"k:{json.dumps({key: found[key] for key in sorted(found)}, separators=(',', ':'))}"


def elements(shape: Shape, items: Sequence[Any]) -> dict[str, Any]:
    """Items of a list by their names, in its order."""
    return {element(shape, item): item for item in items}
