"""A tenant as objects, in the order in which they are made: walls before people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import KUEUE
from plimsoll.tenants.facts import TenantFacts
from plimsoll.tenants.network import wall
from plimsoll.tenants.policy import policies, policy_name
from plimsoll.tenants.rights import CLASSES, IN_NAMESPACE, NODES, PUBLISHED, Allowed
from plimsoll.tenants.tenant import ASKED, LABEL, OBJECT, PULL_SECRET, Tenant

MANAGER = "app.kubernetes.io/managed-by"
_RBAC = "rbac.authorization.k8s.io"
_LEVEL = "restricted"
_SECURITY = "pod-security.kubernetes.io"
_SMALL = {"cpu": "100m", "memory": "256Mi"}
"""What a container requests that says nothing: a quota of requests refuses those that request nothing."""
REGISTRY = (
    Allowed(group="", resources=("services",), verbs=("get",)),
    Allowed(group="", resources=("pods",), verbs=("list",)),
    Allowed(group="", resources=("pods/portforward",), verbs=("get", "create")),
)
"""What the way to the cluster's own registry needs, in its namespace."""


def manifests(tenant: Tenant, facts: TenantFacts, *, outside: bool = True) -> list[Manifest]:
    """All objects of a tenant. With `outside` false its people read nothing outside of its namespace."""
    found = [
        namespace(tenant),
        *_quotas(tenant, facts),
        _limits(tenant),
        wall(tenant, facts),
        *policies(tenant, facts),
        *_accounts(tenant),
        *_queue(tenant, facts),
        *_role(tenant, tenant.name, OBJECT, IN_NAMESPACE),
    ]
    if outside:
        found += _outside(tenant, facts)
    return [labelled(each, tenant.name) for each in found]


def labelled(manifest: Manifest, tenant: str) -> Manifest:
    """The manifest with what tells whose it is."""
    metadata = manifest["metadata"]
    labels = {**metadata.get("labels", {}), LABEL: tenant, MANAGER: "plimsoll"}
    return {**manifest, "metadata": {**metadata, "labels": labels}}


def namespace(tenant: Tenant) -> Manifest:
    """The namespace, in which nothing runs that the restricted Pod Security level does not allow."""
    levels = {f"{_SECURITY}/{mode}": _LEVEL for mode in ("enforce", "audit", "warn")}
    metadata = {"name": tenant.name, "labels": levels, "annotations": {ASKED: tenant.encoded()}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _object(api_version: str, kind: str, name: str, namespace: str = "", **content: object) -> Manifest:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place}, **content}


def _quotas(tenant: Tenant, facts: TenantFacts) -> Iterator[Manifest]:
    hard: Manifest = {"services.loadbalancers": "0", "services.nodeports": "0"}
    hard |= {f"requests.{name}": quantity for name, quantity in _amounts(tenant)}
    if tenant.pods is not None:
        hard["pods"] = str(tenant.pods)
    hard |= {f"requests.{each}": str(tenant.accelerators) for each in facts.accelerators}
    hard |= {f"{each}.deviceclass.resource.k8s.io/devices": str(tenant.accelerators) for each in facts.classes}
    yield _object("v1", "ResourceQuota", OBJECT, tenant.name, spec={"hard": hard})
    # A pod of a higher class would evict other tenants' pods, and one that keeps away from other tenants' pods by
    # affinity would keep theirs from starting.
    classes: list[Manifest] = [{"scopeName": "PriorityClass", "operator": "Exists"}]
    if facts.priority:
        classes.append({"scopeName": "PriorityClass", "operator": "NotIn", "values": [facts.priority]})
    yield _none_of(tenant, "priority", classes)
    yield _none_of(tenant, "affinity", [{"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}])


def _none_of(tenant: Tenant, word: str, scopes: list[Manifest]) -> Manifest:
    spec = {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": scopes}}
    return _object("v1", "ResourceQuota", f"{OBJECT}-{word}", tenant.name, spec=spec)


def _amounts(tenant: Tenant) -> Iterator[tuple[str, str]]:
    yield from ((name, each) for name, each in (("cpu", tenant.cpu), ("memory", tenant.memory)) if each)


def _limits(tenant: Tenant) -> Manifest:
    limit = {"type": "Container", "defaultRequest": dict(_SMALL)}
    return _object("v1", "LimitRange", OBJECT, tenant.name, spec={"limits": [limit]})


def _accounts(tenant: Tenant) -> Iterator[Manifest]:
    """The account of its people, and that of its pods; neither gives a token to a pod by itself."""
    pulls = {"imagePullSecrets": [{"name": PULL_SECRET}]} if tenant.pulls else {}
    for name in (OBJECT, "default"):
        yield _object("v1", "ServiceAccount", name, tenant.name, automountServiceAccountToken=False, **pulls)


def pull_secret(tenant: Tenant, content: str) -> Manifest:
    """The Secret with which nodes pull the tenant's images; `content` is a Docker config.json in base64."""
    made = _object("v1", "Secret", PULL_SECRET, tenant.name, type="kubernetes.io/dockerconfigjson")
    return labelled({**made, "data": {".dockerconfigjson": content}}, tenant.name)


def _queue(tenant: Tenant, facts: TenantFacts) -> Iterator[Manifest]:
    """A queue of Kueue's with as much as the quota, so that gangs wait for room whole."""
    if not tenant.queue:
        return
    name = policy_name(tenant.name)
    resources = [{"name": resource, "nominalQuota": quantity} for resource, quantity in _amounts(tenant)]
    if tenant.accelerators:
        resources += [{"name": each, "nominalQuota": str(tenant.accelerators)} for each in facts.accelerators]
    group = {
        "coveredResources": [each["name"] for each in resources],
        "flavors": [{"name": name, "resources": resources}],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": tenant.name}}
    yield _object(KUEUE, "ResourceFlavor", name, spec={})
    yield _object(KUEUE, "ClusterQueue", name, spec={"namespaceSelector": selector, "resourceGroups": [group]})
    yield _object(KUEUE, "LocalQueue", OBJECT, tenant.name, spec={"clusterQueue": name})


def _outside(tenant: Tenant, facts: TenantFacts) -> Iterator[Manifest]:
    """The little that its people read where no tenant lies."""
    name = policy_name(tenant.name)
    counted = tenant.accelerators and facts.accelerators
    yield from _role(tenant, "", name, (*CLASSES, *((NODES,) if counted else ())))
    place, published = PUBLISHED
    yield from _role(tenant, place, name, (published,))
    if tenant.registry and facts.registry is not None:
        yield from _role(tenant, facts.registry[1], name, REGISTRY)


def _role(tenant: Tenant, namespace: str, name: str, allowed: Sequence[Allowed]) -> list[Manifest]:
    """A role and its binding to the tenant's people; without a namespace for the whole cluster."""
    kind = "Role" if namespace else "ClusterRole"
    rules = [each.as_rule() for each in allowed]
    reference = {"apiGroup": _RBAC, "kind": kind, "name": name}
    return [
        _object(f"{_RBAC}/v1", kind, name, namespace, rules=rules),
        _object(f"{_RBAC}/v1", f"{kind}Binding", name, namespace, roleRef=reference, subjects=people(tenant)),
    ]


def people(tenant: Tenant) -> list[Manifest]:
    """Who has the tenant's rights: its users and groups, and the account of `plimsoll tenant kubeconfig`."""
    account = {"kind": "ServiceAccount", "namespace": tenant.name, "name": OBJECT}
    return [
        account,
        *(_user(each) for each in tenant.users),
        *({"kind": "Group", "apiGroup": _RBAC, "name": each} for each in tenant.groups),
    ]


def _user(name: str) -> Manifest:
    word, _, rest = name.partition("system:serviceaccount:")
    if not word and rest.count(":") == 1:
        namespace, _, account = rest.partition(":")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    return {"kind": "User", "apiGroup": _RBAC, "name": name}
