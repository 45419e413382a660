"""The route of a service that fails over: its weights say who answers, and an annotation since when and why.

What is written is what `plimsoll` would apply. All that is known lies on the route, so that a process that starts anew
goes on where the last one was. Source: Gateway API v1, HTTPRoute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.cluster_api import ClusterApi

OWN_WEIGHTS, FAILED_OVER = "plimsoll.dev/own-weights", "plimsoll.dev/failed-over"
ALL = 100
_MANAGER = "plimsoll"
Object = dict[str, Any]
"""JSON of the API, whose values may be anything."""
_WEIGHTS = msgspec.json.Decoder(dict[str, int])


def leads(route: Object, front: str) -> bool:
    """Whether requests go to the standby, by the weights and by the annotation: after an apply only one may say so."""
    weights = [each.get("weight", 1) for each in _backends(route) if each.get("name") == front]
    return any(weights) and FAILED_OVER in _annotations(route)


def change(route: Object, front: str, told: Mapping[str, str] | None) -> Object | None:
    """What to merge into a route; None where it stands as it should.

    `told` says since when and why requests go to the standby; without it they go to the service's own servers, with the
    weights that are written beside them. Raises TargetError for a route that does not know its standby.
    """
    own = own_weights(route)
    if not any(each.get("name") == front for each in _backends(route)) or not any(own.values()):
        raise TargetError("the route does not lead to the standby", where=route["metadata"]["name"])
    rules = [{**rule, "backendRefs": _weighted(rule, front, own, told)} for rule in route["spec"]["rules"]]
    written = _annotations(route).get(FAILED_OVER)
    # Since when is kept: a process that starts anew does not know it.
    as_told = (written is not None) == (told is not None)
    if as_told and rules == route["spec"]["rules"]:
        return None
    value = None if told is None else written or msgspec.json.encode(dict(told), order="sorted").decode()
    annotations = {FAILED_OVER: value}
    version = route["metadata"]["resourceVersion"]
    return {"metadata": {"annotations": annotations, "resourceVersion": version}, "spec": {"rules": rules}}


def own_weights(route: Object) -> Mapping[str, int]:
    """The weights of own servers by their Service. Raises TargetError where they cannot be read."""
    try:
        return _WEIGHTS.decode(_annotations(route).get(OWN_WEIGHTS, ""))
    except msgspec.DecodeError:
        name = route["metadata"]["name"]
        raise TargetError(f"the route has no annotation {OWN_WEIGHTS} that can be read", where=name) from None


def _weighted(rule: Object, front: str, own: Mapping[str, int], told: Mapping[str, str] | None) -> list[Object]:
    found = []
    for each in rule.get("backendRefs") or []:
        weight = own.get(each["name"], 0) if told is None else 0
        if each["name"] == front:
            weight = ALL if told is not None else 0
        found.append({**each, "weight": weight})
    return found


def _backends(route: Object) -> list[Object]:
    return [each for rule in route["spec"].get("rules") or [] for each in rule.get("backendRefs") or []]


def _annotations(route: Object) -> Mapping[str, str]:
    return route["metadata"].get("annotations") or {}


class Route:
    """A service's own route on the cluster of this process. `front` is the backend that leads to the standby."""

    def __init__(self, api: ClusterApi, namespace: str, name: str, front: str) -> None:
        self._api = api
        self._front = front
        self._path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}"

    def leads(self) -> bool:
        """Whether requests go to the standby now. Raises TargetError while the API server does not say so."""
        return leads(self._api.ask("GET", self._path), self._front)

    def settle(self, told: Mapping[str, str] | None) -> bool:
        """Have the route as it should be, see `change`; gives whether it was changed. Raises TargetError."""
        wanted = change(self._api.ask("GET", self._path), self._front, told)
        if wanted is None:
            return False
        path = f"{self._path}?fieldManager={_MANAGER}"
        self._api.ask("PATCH", path, wanted, "application/merge-patch+json")
        return True
