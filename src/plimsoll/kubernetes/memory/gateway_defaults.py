"""What an API server fills in of gateways and routes, as the definitions of the Gateway API say."""

from __future__ import annotations

from typing import Any

from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.values import copied

_GROUP = "gateway.networking.k8s.io"
_EVERYTHING = {"type": "PathPrefix", "value": "/"}


def gateway(manifest: Manifest) -> None:
    """Listeners take routes of their own namespace."""
    for listener in _dictionaries(_spec(manifest).get("listeners")):
        routes = listener.setdefault("allowedRoutes", {})
        routes.setdefault("namespaces", {}).setdefault("from", "Same")


def route(manifest: Manifest) -> None:
    """References say their kinds, matches how they match, and servers their weight."""
    spec = _spec(manifest)
    for parent in _dictionaries(spec.get("parentRefs")):
        parent.setdefault("group", _GROUP)
        parent.setdefault("kind", "Gateway")
    spec.setdefault("rules", [{}])
    for rule in _dictionaries(spec["rules"]):
        rule.setdefault("matches", [{}])
        for match in _dictionaries(rule["matches"]):
            path = match.setdefault("path", copied(_EVERYTHING))
            for key, value in _EVERYTHING.items():
                path.setdefault(key, value)
            for each in _dictionaries([*(match.get("headers") or []), *(match.get("queryParams") or [])]):
                each.setdefault("type", "Exact")
        for each in _dictionaries(rule.get("filters")):
            if isinstance(each.get("requestMirror"), dict):
                _reference(each["requestMirror"].setdefault("backendRef", {}))
        for each in _dictionaries(rule.get("backendRefs")):
            _reference(each)
            each.setdefault("weight", 1)


def _reference(backend: Manifest) -> None:
    backend.setdefault("group", "")
    backend.setdefault("kind", "Service")


def _spec(manifest: Manifest) -> Manifest:
    found: Manifest = manifest.setdefault("spec", {})
    return found


def _dictionaries(items: Any) -> list[Manifest]:
    """What is no object is for the validation to refuse."""
    return [each for each in items or [] if isinstance(each, dict)]
