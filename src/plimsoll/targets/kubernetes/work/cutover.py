"""What leads requests to a service's servers, changed in such an order that no request is led to nobody.

A gateway says that it has taken a route before its proxies follow it, and Envoy takes a route before it knows the
servers that are new in it. So what is new is shown to it first, under a header that no request has, and what leaves is
put under such a header before it is deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

from msgspec.json import encode

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.cleanup import obsolete_objects
from plimsoll.targets.kubernetes.manifests.failover import VERSION as FAILOVER
from plimsoll.targets.kubernetes.manifests.traffic import unmatched
from plimsoll.targets.kubernetes.ownership import is_of

LEADING = ("Service", "HTTPRoute", "BackendTrafficPolicy")
"""What is applied once servers are ready. A gateway that finds one not ready may not look again for a minute, and leads
requests to whatever there is until then."""
FOLLOWED = 4.0
"""Seconds within which proxies follow a change."""


def lead(context: ClusterContext, held: Sequence[Manifest], stopping: threading.Event) -> Generator[str, None, bool]:
    """Apply the objects that lead requests to servers, in their order; says what others had made of them.

    Gives whether it has done so: once `stopping` is set, requests are led where they were led before.
    """
    own = context.own
    known = [each for each in held if own.find(each) is not None]
    fresh = [each for each in held if each["kind"] == "HTTPRoute" and each not in known]
    if fresh and any(each["kind"] == "HTTPRoute" for each in known):
        yield from applied(context, [each for each in held if each["kind"] != "HTTPRoute"])
        for each in fresh:
            own.apply({**each, "spec": {**each["spec"], "rules": unmatched(each["spec"]["rules"])}})
        if stopping.wait(FOLLOWED):
            return False
    yield from applied(context, held)
    return True


def applied(context: ClusterContext, manifests: Iterable[Manifest]) -> Iterator[str]:
    """Apply objects in their order; says what others had made of them."""
    for each in manifests:
        if told := context.own.apply(each):
            yield told


def lead_back(context: ClusterContext, service: str, route: str, weights: Mapping[str, int]) -> None:
    """Change the weights of a route as it is on the cluster, at once and without any server.

    `weights` are by version; others have none. A route that knows no server of these versions stays as it is.
    """
    live = context.api.find(GATEWAY, "HTTPRoute", route, context.namespace)
    if live is None or not is_of(context.application, live):
        return
    selector = names.selector({**names.of_application(context.application), names.SERVICE: service})
    fronts = context.api.list("v1", "Service", context.namespace, selector)
    versions = {each["metadata"]["name"]: each["metadata"]["labels"].get(names.VERSION, "") for each in fronts}
    own = {name: weights.get(version, 0) for name, version in versions.items() if version != FAILOVER}
    annotations = live["metadata"].get("annotations") or {}
    change: Manifest = {}
    if names.OWN_WEIGHTS in annotations:
        backends = (each["name"] for rule in live["spec"]["rules"] for each in rule.get("backendRefs", []))
        kept = {name: own.get(name, 0) for name in backends if versions.get(name) != FAILOVER}
        change = {"metadata": {"annotations": {names.OWN_WEIGHTS: encode(kept, order="sorted").decode()}}}
    if names.FAILED_OVER not in annotations:
        change["spec"] = {"rules": [_weighted(rule, own) for rule in live["spec"]["rules"]]}
    rules = change.get("spec", {}).get("rules", [])
    if all(any(each["weight"] for each in rule["backendRefs"]) for rule in rules):
        context.own.patch({**live, "apiVersion": GATEWAY, "kind": "HTTPRoute"}, change)


def _weighted(rule: Manifest, weights: Mapping[str, int]) -> Manifest:
    """A rule with other weights by the names of its backends; others have none."""
    backends = rule.get("backendRefs", [])
    return {**rule, "backendRefs": [{**each, "weight": weights.get(each["name"], 0)} for each in backends]}


def remove_obsolete(context: ClusterContext, service: str, kept: Sequence[Manifest], stopping: threading.Event) -> int:
    """Delete objects of the service that are not among its present manifests, once no route leads to them.

    Gives how many there were. Once `stopping` is set they stay, for the next time: proxies may still lead to them.
    """
    obsolete = obsolete_objects(context.api, context.application, context.namespace, service, kept)
    if not obsolete:
        return 0
    for each in obsolete:
        if each["kind"] == "HTTPRoute":
            context.own.patch(each, {"spec": {"rules": unmatched(each["spec"]["rules"])}})
    if stopping.wait(FOLLOWED):
        return 0
    for each in obsolete:
        context.own.delete(each)
    return len(obsolete)
