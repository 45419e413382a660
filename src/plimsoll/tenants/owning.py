"""The one place that writes a tenant's objects: what stands is read first, and others' is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import KUEUE
from plimsoll.kubernetes.field_managers import conflicts, managers
from plimsoll.tenants.facts import POLICIES
from plimsoll.tenants.tenant import LABEL, OBJECT
from plimsoll.waits import waiting_for

REMOVAL_LIMIT = 180.0
"""Seconds for everything in a tenant's namespace to end: servers drain first."""
_LOOK = 0.5
_RBAC = "rbac.authorization.k8s.io/v1"
IN_NAMESPACE = (
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("v1", "Secret"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    (KUEUE, "LocalQueue"),
)
"""Kinds in the namespace of which a tenant that is asked for anew may have fewer."""
ELSEWHERE = (
    (_RBAC, "RoleBinding"),
    (_RBAC, "Role"),
    (_RBAC, "ClusterRoleBinding"),
    (_RBAC, "ClusterRole"),
    (KUEUE, "ClusterQueue"),
    (KUEUE, "ResourceFlavor"),
    (POLICIES, "ValidatingAdmissionPolicyBinding"),
    (POLICIES, "ValidatingAdmissionPolicy"),
)
"""Kinds of objects of a tenant that lie outside of its namespace, in the order in which they go."""


class Change(Struct, frozen=True, kw_only=True):
    """What became of an object: made, changed or removed. `note` says whose fields were set again."""

    done: str
    kind: str
    name: str
    namespace: str = ""
    note: str = ""

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.done:<8} {self.kind} {self.name}{place}{f'; {self.note}' if self.note else ''}"


def is_of(tenant: str, found: Manifest) -> bool:
    """Whether an object is a tenant's."""
    return bool((found["metadata"].get("labels") or {}).get(LABEL) == tenant)


def carry_out(api: Api, tenant: str, wanted: Sequence[Manifest]) -> list[Change]:
    """Have a tenant's objects as they are wanted, and no others; gives what was done, nothing where all stood so.

    Raises TargetError, before anything is written, for a name that is another's.
    """
    standing = {_place(each): _require_ours(api, tenant, each) for each in _there(api, tenant, wanted)}
    changes = [change for each in wanted if (change := _apply(api, each, standing.get(_place(each)))) is not None]
    kept = {_place(each) for each in wanted}
    for each in _owned(api, tenant):
        if _place(each) not in kept and each["metadata"]["name"].startswith(OBJECT):
            changes.append(_remove(api, each))
    return changes


def _place(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _there(api: Api, tenant: str, wanted: Sequence[Manifest]) -> Iterator[Manifest]:
    """Those that may stand already: in a namespace that is not there, nothing does."""
    exists = api.find("v1", "Namespace", tenant) is not None
    yield from (each for each in wanted if exists or each["metadata"].get("namespace") != tenant)


def find(api: Api, wanted: Manifest) -> Manifest | None:
    """What stands under a manifest's name."""
    metadata = wanted["metadata"]
    return api.find(wanted["apiVersion"], wanted["kind"], metadata["name"], metadata.get("namespace"))


def _require_ours(api: Api, tenant: str, wanted: Manifest) -> Manifest | None:
    """What stands under a name, if it is the tenant's. Raises TargetError for another's, and for what is ending."""
    found = find(api, wanted)
    if found is None:
        return None
    kind, namespace, name = _place(wanted)
    where = f"{kind} {name}{f' in {namespace}' if namespace else ''}"
    # Every namespace has this account by itself; it is adopted with the namespace.
    if not is_of(tenant, found) and (kind, name) != ("ServiceAccount", "default"):
        labels = found["metadata"].get("labels") or {}
        whose = f"the tenant {labels[LABEL]}" if labels.get(LABEL) else ", ".join(managers(found)) or "somebody else"
        hint = "give the tenant another name" if kind == "Namespace" else f"have it removed by {whose}, or rename it"
        raise TargetError(
            f"{where} is there and is not the tenant's: it was made by {whose}", where=api.target, hint=hint
        )
    if found["metadata"].get("deletionTimestamp"):
        raise TargetError(f"{where} is being deleted", where=api.target, hint="wait for its end, and run this again")
    return found


def _apply(api: Api, wanted: Manifest, found: Manifest | None) -> Change | None:
    kind, namespace, name = _place(wanted)
    note = ""
    try:
        made = api.apply(wanted, force=False)
    except ApiError as error:
        owners = conflicts(error)
        if owners is None:
            raise
        note = f"set again, others had set {', '.join(sorted({field for each in owners.values() for field in each}))}"
        made = api.apply(wanted)
    version = (found or {"metadata": {}})["metadata"].get("resourceVersion")
    if version == made["metadata"]["resourceVersion"]:
        return None
    done = "made" if found is None else "changed"
    return Change(done=done, kind=kind, name=name, namespace=namespace, note=note)


def _owned(api: Api, tenant: str) -> Iterator[Manifest]:
    """Everything that has the tenant's label, of the kinds that a tenant has."""
    for places, namespace in ((IN_NAMESPACE, tenant), (ELSEWHERE, None)):
        for api_version, kind in places:
            if api.serves(api_version, kind):
                for each in api.list(api_version, kind, namespace, selector=f"{LABEL}={tenant}"):
                    yield {**each, "apiVersion": api_version, "kind": kind}


def _remove(api: Api, found: Manifest) -> Change:
    kind, namespace, name = _place(found)
    exactly = {"uid": found["metadata"]["uid"]}
    api.delete(found["apiVersion"], kind, name, namespace or None, exactly=exactly)
    return Change(done="removed", kind=kind, name=name, namespace=namespace)


def require_tenant(api: Api, name: str) -> Manifest:
    """The namespace of a tenant. Raises TargetError when there is none, and when the namespace is not a tenant's."""
    found = api.find("v1", "Namespace", name)
    if found is None:
        raise TargetError(
            f"there is no tenant {name}", where=api.target, hint=f"plimsoll tenant list --target {api.target} has all"
        )
    if not is_of(name, found):
        raise TargetError(
            f"the namespace {name} is there and no tenant", where=api.target, hint="only tenants are shown and deleted"
        )
    return found


def leftovers(api: Api, name: str) -> list[Manifest]:
    """What lies outside of a tenant's namespace."""
    return [each for each in _owned(api, name) if each["metadata"].get("namespace") != name]


def delete(api: Api, name: str, tell: Callable[[Change], None]) -> None:
    """Delete a tenant: its people's rights first, the rules for its objects last. Raises TargetError at the limit."""
    namespace = api.find("v1", "Namespace", name)
    if namespace is not None:
        require_tenant(api, name)
    outside = leftovers(api, name)
    if namespace is None and not outside:
        require_tenant(api, name)
    last = [each for each in outside if each["kind"].startswith("ValidatingAdmissionPolicy")]
    for each in outside:
        if each not in last:
            tell(_remove(api, each))
    if namespace is not None:
        api.delete("v1", "Namespace", name, exactly={"uid": namespace["metadata"]["uid"]})
        _await_end(api, name)
        tell(Change(done="removed", kind="Namespace", name=name))
    for each in last:
        tell(_remove(api, each))


def _await_end(api: Api, name: str) -> None:
    deadline = time.monotonic() + REMOVAL_LIMIT
    words = f"the end of namespace {name}"
    with waiting_for(lambda: words):
        while (found := api.find("v1", "Namespace", name)) is not None:
            reasons = [
                each.get("message", "")
                for each in found.get("status", {}).get("conditions", [])
                if each.get("status") == "True"
            ]
            words = f"the end of namespace {name}{': ' if reasons else ''}{'; '.join(reasons)}"
            if time.monotonic() > deadline:
                hint = "have the finalizers lifted that it names, and run this again"
                raise TargetError(f"{words} did not come within {REMOVAL_LIMIT:g} s", where=api.target, hint=hint)
            time.sleep(_LOOK)
