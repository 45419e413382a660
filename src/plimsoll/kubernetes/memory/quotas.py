"""ResourceQuotas: what is used of objects and of what pods request, and what they refuse. Scopes choose pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest, forbidden, qualified
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied
from plimsoll.kubernetes.quantities import number, thousandths, written

_PLAIN = frozenset(
    {"pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "resourcequotas", "replicationcontrollers"}
)
_QUOTAS = ("", "resourcequotas")
_PODS, _SERVICES = ("", "pods"), ("", "services")
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory"}
_BY_TYPE = {"services.loadbalancers": ("LoadBalancer",), "services.nodeports": ("NodePort", "LoadBalancer")}


def check_quota(store: Store, kind: ServedKind, namespace: str, name: str, manifest: Manifest) -> None:
    """Raises StatusError (403) for one more object than a quota of its namespace allows."""
    for quota in store.list(_QUOTAS, namespace) if namespace else ():
        if kind.resource == _PODS and not _chooses(quota, manifest):
            continue
        hard = _hard(quota)
        if kind.resource == _PODS:
            _require_said(quota, manifest, name)
        wanted = {counted: amount for counted, amount in _amounts(kind, manifest).items() if counted in hard and amount}
        used = {counted: _used(store, quota, counted, namespace) for counted in wanted}
        over = [counted for counted in wanted if used[counted] + wanted[counted] > number(hard[counted])]
        if over:
            told = ", ".join(
                f"{word}: {','.join(f'{each}={_word(values[each])}' for each in over)}"
                for word, values in (("requested", wanted), ("used", used), ("limited", hard))
            )
            raise forbidden(kind.plural, name, kind.group, f"exceeded quota: {quota['metadata']['name']}, {told}")


def refresh(store: Store, namespace: str) -> None:
    """Bring the status of a namespace's quotas to what is used now."""
    with store.lock:
        for quota in store.list(_QUOTAS, namespace) if namespace else ():
            hard = _hard(quota)
            status = {"hard": hard, "used": {each: _written(_used(store, quota, each, namespace)) for each in hard}}
            if quota.get("status") != status:
                fresh = {**copied(quota), "status": copied(status)}
                store.put(Key(*_QUOTAS, namespace, quota["metadata"]["name"]), fresh)


def _hard(quota: Manifest) -> Mapping[str, str]:
    return (quota.get("spec") or {}).get("hard") or {}


def _amounts(kind: ServedKind, manifest: Manifest) -> dict[str, Fraction]:
    """What an object takes of quotas, by the words of these."""
    found = {f"count/{qualified(kind.plural, kind.group)}": Fraction(1)}
    if not kind.group and kind.plural in _PLAIN:
        found[kind.plural] = Fraction(1)
    if kind.resource == _SERVICES:
        of_type = (manifest.get("spec") or {}).get("type", "ClusterIP")
        found |= {counted: Fraction(1) for counted, types in _BY_TYPE.items() if of_type in types}
    if kind.resource == _PODS:
        for counted, amount in _of_pod(manifest):
            found[counted] = found.get(counted, Fraction(0)) + amount
    return found


def _of_pod(pod: Manifest) -> Iterator[tuple[str, Fraction]]:
    for container in pod["spec"].get("containers") or []:
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        # Who says only a limit requests as much.
        for name, quantity in ({**limits, **(resources.get("requests") or {})}).items():
            yield f"requests.{name}", number(quantity)
            if name in _SHORT:
                yield name, number(quantity)
        for name, quantity in limits.items():
            yield f"limits.{name}", number(quantity)


def _require_said(quota: Manifest, pod: Manifest, name: str) -> None:
    """Raises StatusError (403) for a container that does not say what a quota counts."""
    for container in pod["spec"].get("containers") or []:
        said = dict(_of_pod({"spec": {"containers": [container]}}))
        counted = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
        if missing := [each for each in counted if each in _hard(quota) and each not in said]:
            told = f"failed quota: {quota['metadata']['name']}: must specify {missing[0]} for: {container.get('name')}"
            raise forbidden("pods", name, "", told)


def _chooses(quota: Manifest, pod: Manifest) -> bool:
    """Whether a pod is one of those that a quota is about."""
    terms = ((quota.get("spec") or {}).get("scopeSelector") or {}).get("matchExpressions") or []
    return all(_matches(each, pod) for each in terms)


def _matches(term: Manifest, pod: Manifest) -> bool:
    if term["scopeName"] == "CrossNamespacePodAffinity":
        return any(each.get("namespaces") or "namespaceSelector" in each for each in _affinities(pod))
    priority = pod["spec"].get("priorityClassName", "")
    match term["operator"]:
        case "Exists":
            return bool(priority)
        case "DoesNotExist":
            return not priority
        case "In":
            return priority in term["values"]
    return priority not in term["values"]


def _affinities(pod: Manifest) -> Iterator[Manifest]:
    affinity = pod["spec"].get("affinity") or {}
    for word in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(word) or {}
        yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for each in found.get("preferredDuringSchedulingIgnoredDuringExecution") or []:
            yield each["podAffinityTerm"]


def _used(store: Store, quota: Manifest, counted: str, namespace: str) -> Fraction:
    plain = counted.removeprefix("count/")
    plural, _, group = ("services", "", "") if counted in _BY_TYPE else plain.partition(".")
    if counted.startswith(("requests.", "limits.")) or counted in _SHORT:
        plural, group = "pods", ""
    kind = ServedKind(group=group, version="", kind="", plural=plural)
    return sum(
        (
            _amounts(kind, each).get(counted, Fraction(0))
            for each in store.list((group, plural), namespace)
            if not (kind.resource == _PODS and (_over(each) or not _chooses(quota, each)))
        ),
        Fraction(0),
    )


def _word(amount: Fraction | str) -> str:
    return amount if isinstance(amount, str) else _written(amount)


def _written(amount: Fraction) -> str:
    return str(amount) if amount.denominator == 1 else written(thousandths(float(amount)))


def _over(pod: Mapping[str, Manifest]) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
