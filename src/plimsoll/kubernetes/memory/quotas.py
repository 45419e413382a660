"""ResourceQuotas that count objects: what is used, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest, forbidden, qualified
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied
from plimsoll.kubernetes.quantities import number

_PLAIN = frozenset(
    {"pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "resourcequotas", "replicationcontrollers"}
)
_QUOTAS = ("", "resourcequotas")


def check_quota(store: Store, kind: ServedKind, namespace: str, name: str) -> None:
    """Raises StatusError (403) for one more object than a quota of its namespace allows."""
    for quota in store.list(_QUOTAS, namespace) if namespace else ():
        hard = (quota.get("spec") or {}).get("hard") or {}
        for counted in _counted(kind):
            used = _used(store, kind.resource, namespace)
            if counted in hard and used + 1 > number(hard[counted]):
                told = f"requested: {counted}=1, used: {counted}={used}, limited: {counted}={hard[counted]}"
                why = f"exceeded quota: {quota['metadata']['name']}, {told}"
                raise forbidden(kind.plural, name, kind.group, why)


def refresh(store: Store, namespace: str) -> None:
    """Bring the status of a namespace's quotas to what is used now."""
    with store.lock:
        for quota in store.list(_QUOTAS, namespace) if namespace else ():
            hard = (quota.get("spec") or {}).get("hard") or {}
            status = {"hard": hard, "used": {name: str(_used(store, _resource(name), namespace)) for name in hard}}
            if quota.get("status") != status:
                fresh = {**copied(quota), "status": copied(status)}
                store.put(Key(*_QUOTAS, namespace, quota["metadata"]["name"]), fresh)


def _counted(kind: ServedKind) -> tuple[str, ...]:
    general = f"count/{qualified(kind.plural, kind.group)}"
    return (kind.plural, general) if not kind.group and kind.plural in _PLAIN else (general,)


def _resource(counted: str) -> tuple[str, str]:
    plural, _, group = counted.removeprefix("count/").partition(".")
    return group, plural


def _used(store: Store, resource: tuple[str, str], namespace: str) -> int:
    found = store.list(resource, namespace)
    return sum(1 for each in found if not (resource == ("", "pods") and _over(each)))


def _over(pod: Mapping[str, Manifest]) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
