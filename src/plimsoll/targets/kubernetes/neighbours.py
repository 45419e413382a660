"""What else lies in the namespace of an application: objects that are neither its own nor made for something. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.targets.kubernetes.ownership import is_of, owner

_FURNISHED = frozenset(
    {
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
        ("ServiceAccount", "default"),
    }
)
"""What every namespace of a cluster has."""
_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  # a type of Secrets
_MIRRORED = "endpoints.kubernetes.io/managed-by"
_MIRRORED_BEFORE = "endpoints.kubernetes.io/last-change-trigger-time"
_TOLD = 3


def neighbours(application: str, found: Sequence[Manifest]) -> list[Manifest]:
    """What is somebody else's. What a controller has made for an object is counted with that object."""
    return [each for each in _foreign(application, found) if not _owners(each)]


def remnants(application: str, found: Sequence[Manifest]) -> list[Manifest]:
    """What was made for something that is not in the namespace: that has just gone, or that lies elsewhere."""
    there = {each["metadata"]["uid"] for each in found}
    return [each for each in _foreign(application, found) if _owners(each) and not _owners(each) & there]


def told(found: Sequence[Manifest], hidden: Sequence[str]) -> str:
    """What keeps a namespace, in words."""
    named = [f"{each['kind']}/{each['metadata']['name']} ({owner(each)})" for each in found[:_TOLD]]
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    words = [f"it holds {', '.join(named)}{more}"] if named else []
    if hidden:
        kinds = ", ".join(hidden[:_TOLD]) + (" and others" if len(hidden) > _TOLD else "")
        words.append(f"it may hold {kinds}, which may not be listed")
    return "; ".join(words)


def _foreign(application: str, found: Iterable[Manifest]) -> list[Manifest]:
    return [each for each in found if not is_of(application, each) and not _is_furnished(each)]


def _is_furnished(found: Manifest) -> bool:
    metadata = found["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    return (
        (found["kind"], metadata["name"]) in _FURNISHED
        or found.get("type") == _TOKEN
        or (found["kind"] == "Endpoints" and bool({_MIRRORED, _MIRRORED_BEFORE} & marks.keys()))
    )


def _owners(found: Manifest) -> set[str]:
    return {each["uid"] for each in found["metadata"].get("ownerReferences") or []}
