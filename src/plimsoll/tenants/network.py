"""The network that a tenant's pods see: each other, names, and what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.api import Manifest
from plimsoll.tenants.facts import TenantFacts
from plimsoll.tenants.tenant import OBJECT, Tenant, reached

NAMESPACE = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives every namespace."""
DNS_NAMESPACES = ("kube-system", "openshift-dns")
DNS_PORTS = (53, 5353)
"""A policy sees the port of the pod that answers, which is 5353 on OpenShift."""
_LOCAL_DNS = "169.254.20.10/32"
"""Where a node's own cache of names answers, as Kubernetes documents it."""


def wall(tenant: Tenant, facts: TenantFacts) -> Manifest:
    """The policy of all pods: nobody else comes in, and out goes what is named here.

    Policies add up. A service's own opens its port to whoever may come out to it.
    """
    own: Manifest = {"podSelector": {}}
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [own]}],
        "egress": [{"to": [own]}, *_names(), *_registry(tenant, facts), *_asked(tenant)],
    }
    metadata = {"name": OBJECT, "namespace": tenant.name}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _names() -> Iterator[Manifest]:
    place = {"matchExpressions": [{"key": NAMESPACE, "operator": "In", "values": list(DNS_NAMESPACES)}]}
    ports = [{"protocol": protocol, "port": port} for port in DNS_PORTS for protocol in ("UDP", "TCP")]
    yield {"to": [{"namespaceSelector": place}, {"ipBlock": {"cidr": _LOCAL_DNS}}], "ports": ports}


def _registry(tenant: Tenant, facts: TenantFacts) -> Iterator[Manifest]:
    if tenant.registry and facts.registry is not None:
        # By its namespace: its pods have other ports than its Service.
        yield {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE: facts.registry[1]}}}]}


def _asked(tenant: Tenant) -> Iterator[Manifest]:
    for each in tenant.egress:
        network = reached(each)
        left_out = {"except": list(network.without)} if network.without else {}
        peer = {"ipBlock": {"cidr": network.cidr, **left_out}}
        ports = [{"protocol": "TCP", "port": network.port}] if network.port is not None else []
        yield {"to": [peer], **({"ports": ports} if ports else {})}
