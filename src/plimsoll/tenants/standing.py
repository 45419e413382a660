"""Tenants as they stand: what was asked for, what they use, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.comparing import differences
from plimsoll.kubernetes.field_managers import added
from plimsoll.tenants.facts import TenantFacts
from plimsoll.tenants.manifests import manifests
from plimsoll.tenants.owning import find, is_of
from plimsoll.tenants.tenant import ASKED, LABEL, OBJECT, Tenant, decoded

_PULLS = "imagePullSecrets"


class Standing(Struct, frozen=True, kw_only=True):
    """A tenant's namespace. `asked` is `None` where somebody has spoilt the record; `quota` has used and most."""

    name: str
    asked: Tenant | None
    since: str = ""
    ending: bool = False
    quota: Mapping[str, tuple[str, str]] = {}


def tenants(api: Api) -> list[Standing]:
    """All tenants of a cluster, by name."""
    found = [each for each in api.list("v1", "Namespace", selector=LABEL) if is_of(each["metadata"]["name"], each)]
    quotas = {
        each["metadata"]["namespace"]: each
        for each in api.list("v1", "ResourceQuota", selector=LABEL)
        if each["metadata"]["name"] == OBJECT
    }
    return sorted((standing(each, quotas.get(each["metadata"]["name"])) for each in found), key=lambda each: each.name)


def standing(namespace: Manifest, quota: Manifest | None) -> Standing:
    """A tenant as its namespace and its quota say."""
    metadata, status = namespace["metadata"], (quota or {}).get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return Standing(
        name=metadata["name"],
        asked=decoded((metadata.get("annotations") or {}).get(ASKED, "")),
        since=str(metadata.get("creationTimestamp") or ""),
        ending=bool(metadata.get("deletionTimestamp")),
        quota={name: (str(used.get(name, "0")), str(most)) for name, most in sorted(hard.items()) if str(most) != "0"},
    )


def problems(api: Api, tenant: Tenant, facts: TenantFacts) -> list[str]:
    """What is not as it was asked for, one sentence for each object."""
    told = []
    for wanted in manifests(tenant, facts):
        found = find(api, wanted)
        name = f"{wanted['kind']} {wanted['metadata']['name']}"
        if found is None:
            told.append(f"{name} is gone")
        elif not is_of(tenant.name, found):
            told.append(f"{name} is no longer the tenant's")
        elif paths := _different(wanted, found):
            told.append(f"{name} is not as it should be in {', '.join(paths[:3])}")
    if not facts.policies:
        told.append("the cluster knows no ValidatingAdmissionPolicy: its people can remove their own network policy")
    return told


def _different(wanted: Manifest, found: Manifest) -> Sequence[str]:
    """Fields that differ, and those that others have added: a wall with a hole more is none."""
    beside = [path for paths in added(found, wanted).values() for path in paths if _PULLS not in path]
    return [*differences(wanted, found), *beside]
