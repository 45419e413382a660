"""Gateways that probes create for their routes."""

from __future__ import annotations

from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.rights import MAKE, READ, Right
from plimsoll.kubernetes.objects import has_condition

API = "gateway.networking.k8s.io/v1"
RIGHTS = (
    Right(group="gateway.networking.k8s.io", resources=("gateways", "httproutes"), verbs=(*READ, *MAKE)),
    Right(group="", resources=("services",), verbs=MAKE),
)
"""The rights of a probe with gateways, routes, and services behind them."""
_LIMIT = 180.0


def gateway_name(class_name: str) -> str:
    """The name of the probe's gateway of a class."""
    return f"gateway-{class_name}"[:60]


def create_gateway(ns: ProbeNamespace, class_name: str) -> str | None:
    """Create a gateway for routes of the namespace. Returns its address; None when it does not get one."""
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "Same"}}}
    spec = {"gatewayClassName": class_name, "listeners": [listener]}
    name = gateway_name(class_name)
    ns.apply({"apiVersion": API, "kind": "Gateway", "metadata": {"name": name}, "spec": spec})

    def address() -> str | None:
        found = ns.get(API, "Gateway", name)
        addresses = found.get("status", {}).get("addresses", [])
        return str(addresses[0]["value"]) if addresses and has_condition(found, "Programmed") else None

    return ns.wait(f"a gateway of class {class_name}", address, _LIMIT)
