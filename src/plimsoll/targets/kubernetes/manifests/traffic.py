"""How requests from outside find a service's servers: gateway and route, with each version's share. Gateway API v1."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import ENVOY, GATEWAY, Cluster
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.failover import failover_name, led, own_weights
from plimsoll.targets.kubernetes.manifests.groups import Group, ServedVersions
from plimsoll.targets.kubernetes.manifests.scaling import PATIENCE

NO_REQUEST = "plimsoll-not-led"
"""A header that no request has."""
ATTEMPTS = 3
"""Servers that are tried before a request is given up, the first included."""
_NONE_HEALTHY = 10
"""Per cent of healthy servers below which all are asked nevertheless: Envoy looks at those without traffic once a
minute only, so that a first look that came too early would keep everybody waiting."""
OVERDUE = 10
"""So many times the promised latency, and a server is taken for gone and another is asked."""


def ways_in(
    name: str, application: str, service: str, labels: dict[str, str], groups: Sequence[Group], cluster: Cluster
) -> list[Manifest]:
    """The application's gateway, the service's route, and what the gateway does when a server does not answer."""
    found = [gateway(application, cluster.gateways[0])]
    ways = routes(name, application, (service, groups[0].served.stands_for), labels, groups)
    # Who waits for a server to start has no latency that was promised.
    wakes = groups[0].served.scale.min == 0
    longest = (PATIENCE if wakes else 0) + groups[0].served.longest_answer
    if longest:
        # Envoy ends a request after 15 seconds where nothing is said.
        for way in ways:
            for rule in way["spec"]["rules"]:
                rule["timeouts"] = {"request": f"{longest + 10}s"}
    if cluster.takes(f"{ENVOY}/BackendTrafficPolicy"):
        latency = None if wakes else groups[0].served.latency
        found.append(patience(name, [each["metadata"]["name"] for each in ways], labels, latency))
    return [*found, *ways]


def gateway(application: str, class_name: str) -> Manifest:
    """One way in for all services of an application."""
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "Same"}}}
    return {
        "apiVersion": GATEWAY,
        "kind": "Gateway",
        "metadata": {"name": names.gateway(application), "labels": names.of_application(application)},
        "spec": {"gatewayClassName": class_name, "listeners": [listener]},
    }


def routes(
    name: str, application: str, services: Sequence[str], labels: dict[str, str], groups: Sequence[Group]
) -> list[Manifest]:
    """`/SERVICE/v2/…` at the gateway is `/v2/…` of the service; of several versions by name, header or weight.

    `services` are its name, and that of the service that it stands by for; empty for none.

    Requests that name a version, or carry its headers, are for that version alone, and do not fail over.

    What leads by name and by header are routes of their own. Envoy Gateway knows servers by route and place in it:
    where the last of several rules changes its place, requests meet a name that Envoy does not know for a moment
    (503, NC).
    """
    prefixes = [f"/{service}" for service in services if service]
    served, front = groups[0].served, _backend(failover_name(name), weight=0)
    apart = [(group, group.traffic) for group in groups if group.traffic is not None]
    if not apart:
        single = [_backend(name, weight=1)]
        rules = [_rule(prefixes, "/", led(single, served, front))]
        return [_failing_over(_route(name, application, labels, rules), single, served)]
    found = []
    for group, share in apart:
        own = [_backend(group.name, weight=1)]
        paths = [f"/v2/models/{model.name}/versions/{group.version}" for model in group.served.file.models]
        found.append(
            _route(
                group.name,
                application,
                labels,
                [_rule([f"{prefix}{path}" for prefix in prefixes], path, own) for path in paths],
            )
        )
        if share.headers:
            headers = [_header(word, value) for word, value in sorted(share.headers.items())]
            rule = _rule(prefixes, "/", own, headers=headers, mirrors=_mirrors(groups, group))
            found.append(_route(f"{group.name}-header", application, labels, [rule]))
    weighted = [_backend(group.name, weight=share.weight) for group, share in apart]
    rules = [_rule(prefixes, "/", led(weighted, served, front), mirrors=_mirrors(groups, None))]
    return [*found, _failing_over(_route(name, application, labels, rules), weighted, served)]


def _failing_over(route: Manifest, own: Sequence[Manifest], served: ServedVersions) -> Manifest:
    """A route with the weights that its own servers have whenever requests go to them."""
    if served.standby is None:
        return route
    weights = {names.OWN_WEIGHTS: own_weights(own)}
    return {**route, "metadata": {**route["metadata"], "annotations": weights}}


def unmatched(rules: Sequence[Manifest]) -> list[Manifest]:
    """Rules as they are, for requests that nobody sends: their servers are known to the gateway before they are led to,
    and are still known when they no longer are."""
    header = _header(NO_REQUEST, secrets.token_hex(16))
    return [
        {**rule, "matches": [{**match, "headers": [*match.get("headers", []), header]} for match in rule["matches"]]}
        for rule in rules
    ]


def _route(name: str, application: str, labels: dict[str, str], rules: list[Manifest]) -> Manifest:
    return {
        "apiVersion": GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "labels": labels},
        "spec": {"parentRefs": [_parent(names.gateway(application))], "rules": rules},
    }


# A route's lists are one value each: an item that leaves to the server what it fills in is not the one that stands.


def _parent(gateway: str) -> Manifest:
    return {"group": GATEWAY.partition("/")[0], "kind": "Gateway", "name": gateway}


def _backend(service: str, **beside: int) -> Manifest:
    return {"group": "", "kind": "Service", "name": service, "port": 80, **beside}


def _header(name: str, value: str) -> Manifest:
    return {"type": "Exact", "name": name, "value": value}


def _mirrors(groups: Sequence[Group], answering: Group | None) -> list[Manifest]:
    """A copy of so many per cent of the requests to each shadow but the one that answers."""
    return [
        {
            "type": "RequestMirror",
            "requestMirror": {"backendRef": _backend(group.name), "percent": group.traffic.shadow},
        }
        for group in groups
        if group.traffic is not None and group.traffic.shadow and group is not answering
    ]


def _rule(
    prefixes: Sequence[str],
    becomes: str,
    backends: list[Manifest],
    *,
    headers: list[Manifest] | None = None,
    mirrors: Sequence[Manifest] = (),
) -> Manifest:
    rewrite = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": becomes}},
    }
    matches: list[Manifest] = [{"path": {"type": "PathPrefix", "value": prefix}} for prefix in prefixes]
    if headers:
        matches = [{**match, "headers": headers} for match in matches]
    return {"matches": matches, "filters": [rewrite, *mirrors], "backendRefs": backends}


def patience(name: str, led: Sequence[str], labels: dict[str, str], latency: float | None) -> Manifest:
    """What Envoy Gateway does about a server that is gone before the cluster knows: it looks itself, and asks another.

    `led` are its routes. A prediction asked twice is answered twice alike, so that a request may be sent again.
    `latency` is the promised one, in seconds; without any a request that a server has taken is waited for.
    Source: Envoy Gateway's API.
    """
    retry: Manifest = {
        "numRetries": ATTEMPTS - 1,
        "retryOn": {"triggers": ["connect-failure", "refused-stream", "reset"]},
    }
    if latency is not None:
        retry["perRetry"] = {"timeout": f"{round(1000 * max(1.0, OVERDUE * latency))}ms"}
    look = {
        "type": "HTTP",
        "http": {"path": "/v2/health/ready", "expectedStatuses": [200]},
        "interval": "1s",
        "timeout": "1s",
        "unhealthyThreshold": 2,
        "healthyThreshold": 1,
    }
    return {
        "apiVersion": ENVOY,
        "kind": "BackendTrafficPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": each} for each in led],
            "timeout": {"tcp": {"connectTimeout": "1s"}},
            "retry": retry,
            "healthCheck": {"active": look, "panicThreshold": _NONE_HEALTHY},
        },
    }
