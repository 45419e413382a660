"""LimitRanges that bound what a container asks for: what they refuse, and what they have it request."""

from __future__ import annotations

from plimsoll.kubernetes.memory.refusals import Manifest, forbidden
from plimsoll.kubernetes.memory.store import Store
from plimsoll.kubernetes.quantities import number

_LIMITS = ("", "limitranges")


def with_requests(store: Store, namespace: str, pod: Manifest) -> Manifest:
    """The pod with what its namespace has containers request that say nothing."""
    given: Manifest = {}
    for bound in _bounds(store, namespace):
        given = {**(bound.get("default") or {}), **(bound.get("defaultRequest") or {}), **given}
    if not given:
        return pod
    return {**pod, "spec": {**pod["spec"], "containers": [_with(each, given) for each in pod["spec"]["containers"]]}}


def _with(container: Manifest, given: Manifest) -> Manifest:
    resources = container.get("resources") or {}
    # Who says a limit requests as much.
    requests = {**given, **(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {**container, "resources": {**resources, "requests": requests}}


def _bounds(store: Store, namespace: str) -> list[Manifest]:
    return [
        bound
        for each in store.list(_LIMITS, namespace)
        for bound in (each.get("spec") or {}).get("limits") or []
        if bound.get("type") == "Container"
    ]


def check_limits(store: Store, namespace: str, pod: Manifest, name: str) -> None:
    """Raises StatusError (403) for a pod with a container that asks for more or less than its namespace allows."""
    bounds = _bounds(store, namespace)
    for container in pod["spec"].get("containers") or []:
        requests = (container.get("resources") or {}).get("requests") or {}
        found = [words for bound in bounds for words in _broken(bound, requests)]
        if found:
            raise forbidden("pods", name, "", found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _broken(bound: Manifest, requests: Manifest) -> list[str]:
    """In the words of the admission plugin LimitRanger."""
    found = []
    for resource, most in (bound.get("max") or {}).items():
        if resource in requests and number(requests[resource]) > number(most):
            found.append(f"maximum {resource} usage per Container is {most}, but request is {requests[resource]}")
    for resource, least in (bound.get("min") or {}).items():
        if resource not in requests:
            found.append(f"minimum {resource} usage per Container is {least}.  No request is specified")
        elif number(requests[resource]) < number(least):
            found.append(f"minimum {resource} usage per Container is {least}, but request is {requests[resource]}")
    return found
