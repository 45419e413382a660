"""What rights cannot say: rules that the API server itself holds each object of a tenant against. Pure.

A ValidatingAdmissionPolicy of each tenant, in CEL. Rights are by kind; whoever may make network policies for services
could also open the tenant's own wall, and whoever may make pods could name another tenant's image that its node holds.
Who may delete the namespace is not held to them: who tears walls down, and Kubernetes when a namespace ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.api import Manifest
from plimsoll.tenants.facts import POLICIES, TenantFacts
from plimsoll.tenants.network import DNS_PORTS, NAMESPACE
from plimsoll.tenants.tenant import OBJECT, Tenant, reached

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_KEEPER = "authorizer.group('').resource('namespaces').name({name}).check('delete').allowed()"
_PODS = "request.resource.resource == 'pods'"
_CHANGED = "(request.operation == 'CREATE' || object.spec != oldObject.spec)"
"""A pod of before keeps its image: who takes a finalizer off it, as the controller of Jobs does, is not held up."""
_WALLS = "request.resource.resource == 'networkpolicies'"
_SERVICES = "request.resource.resource == 'services'"
_METADATA_PORT = 80
"""Where clouds give any pod the credentials of its node: no policy of a tenant opens it to every address."""


def policy_name(tenant: str) -> str:
    """The name of what belongs to a tenant and lies in no namespace."""
    return f"{OBJECT}-{tenant}"


def policies(tenant: Tenant, facts: TenantFacts) -> list[Manifest]:
    """The policy and its binding; nothing where the API server knows none."""
    if not facts.policies:
        return []
    name = policy_name(tenant.name)
    rules = [
        _rule("", "v1", ("pods", "pods/ephemeralcontainers", "services"), ("CREATE", "UPDATE")),
        _rule("networking.k8s.io", "v1", ("networkpolicies",), ("CREATE", "UPDATE", "DELETE")),
    ]
    namespaces = {"matchLabels": {NAMESPACE: tenant.name}}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": rules,
            "namespaceSelector": namespaces,
            "objectSelector": {},
            "matchPolicy": "Equivalent",
        },
        "matchConditions": [{"name": "keeper", "expression": f"!{_KEEPER.format(name=_text(tenant.name))}"}],
        "validations": [_validation(*each) for each in (*_images(tenant), *_walls(tenant, facts), *_services())],
    }
    bind = {"policyName": name, "validationActions": ["Deny"]}
    metadata = {"name": name}
    return [
        {"apiVersion": POLICIES, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {"apiVersion": POLICIES, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata, "spec": bind},
    ]


def _rule(group: str, version: str, resources: tuple[str, ...], operations: tuple[str, ...]) -> Manifest:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": list(resources),
        "operations": list(operations),
        "scope": "*",
    }


def _validation(condition: str, expression: str, message: str) -> Manifest:
    """A rule for one kind: of every other it is true."""
    return {"expression": f"!({condition}) || ({expression})", "message": message, "reason": "Forbidden"}


def prefixes(tenant: Tenant) -> list[str]:
    """The beginnings of the images that a tenant's pods may have; each ends where a path ends."""
    return [f"{each.rstrip('/')}/" for each in tenant.images]


def _images(tenant: Tenant) -> Iterator[tuple[str, str, str]]:
    """Only what begins with a prefix: another name of the same registry would pass a list of what is forbidden."""
    allowed = prefixes(tenant)
    if not allowed:
        return
    listed = f"[{', '.join(_text(each) for each in allowed)}]"
    begins = f"{listed}.exists(p, {{}}.startsWith(p))"
    parts = []
    for field in _CONTAINERS:
        fitting = begins.replace("{}", "c.image")
        parts.append(f"(!has(object.spec.{field}) || object.spec.{field}.all(c, has(c.image) && {fitting}))")
    mounted = f"v.image.reference == '' || {begins.replace('{}', 'v.image.reference')}"
    volumes = f"object.spec.volumes.all(v, !has(v.image) || !has(v.image.reference) || {mounted})"
    parts.append(f"(!has(object.spec.volumes) || {volumes})")
    words = ", ".join(allowed)
    yield f"{_PODS} && {_CHANGED}", " && ".join(parts), f"images and image volumes of this tenant begin with {words}"


def _walls(tenant: Tenant, facts: TenantFacts) -> Iterator[tuple[str, str, str]]:
    """The tenant's own wall stays, and no other policy leads further out than it does."""
    named = f"(request.operation == 'DELETE' ? oldObject : object).metadata.name != '{OBJECT}'"
    yield _WALLS, named, f"the network policy {OBJECT} is the wall of this tenant: who keeps the cluster changes it"
    inside = "!has(p.ipBlock) && (!has(p.namespaceSelector) || ({home}))"
    places = [tenant.name, *([facts.registry[1]] if tenant.registry and facts.registry else [])]
    label = f"'{NAMESPACE}' in p.namespaceSelector.matchLabels && p.namespaceSelector.matchLabels['{NAMESPACE}'] in "
    home = f"has(p.namespaceSelector.matchLabels) && {label}[{', '.join(map(_text, places))}]"
    peers = f"e.to.all(p, {inside.format(home=home)})"
    ports = ", ".join(map(str, _anywhere(tenant)))
    names = f"e.ports.all(q, has(q.port) && !has(q.endPort) && q.port in [{ports}])"
    only_names = f"has(e.ports) && size(e.ports) > 0 && {names}"
    egress = f"object.spec.egress.all(e, (has(e.to) && size(e.to) > 0 && {peers}) || ({only_names}))"
    yield (
        f"{_WALLS} && request.operation != 'DELETE' && has(object.spec.egress)",
        egress,
        "a network policy of this tenant leads to its own pods, or to where names are asked for; --egress of the "
        "tenant opens more",
    )


def _anywhere(tenant: Tenant) -> list[int]:
    """Ports that a policy may open without an address, as those of assistants do: of names, and of `--egress`."""
    asked = {reached(each).port or 443 for each in tenant.egress}
    return sorted({*DNS_PORTS, *asked} - {_METADATA_PORT})


def _services() -> Iterator[tuple[str, str, str]]:
    """Addresses that a service takes for itself would be another's, in the whole cluster."""
    addresses = "!has(object.spec.externalIPs) || size(object.spec.externalIPs) == 0"
    yield _SERVICES, addresses, "services of a tenant take no externalIPs"


def _text(word: str) -> str:
    """A literal of CEL; names and prefixes have neither quotes nor backslashes."""
    return f"'{word}'"
