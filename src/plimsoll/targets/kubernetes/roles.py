"""Rights as RBAC objects: a Role and its binding in each namespace, and a ClusterRole only for what lies in none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.kubernetes.api import Manifest
from plimsoll.targets.kubernetes.rights import Need

_API = "rbac.authorization.k8s.io"
_ACCOUNT = "system:serviceaccount:"


class Subjects(Struct, frozen=True, kw_only=True):
    """Who is to have the rights. A user named `system:serviceaccount:NAMESPACE:NAME` is that account."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def as_rbac(self) -> list[Manifest]:
        """The subjects of a binding."""
        return [
            *(_user(each) for each in self.users),
            *({"kind": "Group", "apiGroup": _API, "name": each} for each in self.groups),
        ]


def roles(needs: Iterable[Need], subjects: Subjects, name: str) -> list[Manifest]:
    """Objects that give the rights, by namespace; without subjects there are no bindings."""
    by_place: dict[str, list[Need]] = {}
    for need in needs:
        by_place.setdefault(need.act.namespace, []).append(need)
    found: list[Manifest] = []
    for namespace, of_place in sorted(by_place.items(), key=lambda each: (not each[0], each[0])):
        kind = "Role" if namespace else "ClusterRole"
        place = {"namespace": namespace} if namespace else {}
        metadata = {"name": name, **place}
        found.append({"apiVersion": f"{_API}/v1", "kind": kind, "metadata": metadata, "rules": rules(of_place)})
        if bound := subjects.as_rbac():
            reference = {"apiGroup": _API, "kind": kind, "name": name}
            binding = {"apiVersion": f"{_API}/v1", "kind": f"{kind}Binding", "metadata": metadata}
            found.append({**binding, "roleRef": reference, "subjects": bound})
    return found


def rules(needs: Sequence[Need]) -> list[Manifest]:
    """Rules of a role: one for the resources of a group that need the same verbs for the same objects."""
    anywhere = {replace(need.act, name="") for need in needs if not need.act.name}
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for act in (need.act for need in needs):
        # Whoever may do it to all objects need not be let do it to one.
        if not act.name or replace(act, name="") not in anywhere:
            verbs.setdefault((act.group, act.resource, act.name), set()).add(act.verb)
    names: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, resource, name), of_object in verbs.items():
        names.setdefault((group, resource, tuple(sorted(of_object))), []).append(name)
    resources: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (group, resource, allowed), named in names.items():
        # One rule for objects with names, and another for all of them.
        if "" in named:
            resources.setdefault((group, allowed, ()), []).append(resource)
        if of_some := tuple(sorted(each for each in named if each)):
            resources.setdefault((group, allowed, of_some), []).append(resource)
    return [
        {
            "apiGroups": [group],
            "resources": sorted(of_group),
            **({"resourceNames": list(of_objects)} if of_objects else {}),
            "verbs": list(allowed),
        }
        for (group, allowed, of_objects), of_group in sorted(resources.items())
    ]


def _user(name: str) -> Manifest:
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    return {"kind": "User", "apiGroup": _API, "name": name}
