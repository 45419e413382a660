"""Deletes the objects that earlier checks left behind, found by the label that every object of a check has."""

from __future__ import annotations

from plimsoll.capabilities.probe import ClusterKind, all_probes
from plimsoll.capabilities.probe_namespace import LABEL
from plimsoll.kubernetes.api import Api, ApiError, Manifest

_NAMESPACE = ClusterKind(api_version="v1", kind="Namespace")


def clean(api: Api, run: str = "") -> list[str]:
    """Delete the objects of all checks, or of one check by its run. Returns them as kind/name."""
    selector = f"{LABEL}={run}" if run else LABEL
    outside = [kind for probe in all_probes() for kind in probe.cluster_kinds]
    removed = []
    for each in (*dict.fromkeys(outside), _NAMESPACE):
        if not _is_served(api, each):
            continue
        for found in _listed(api, each, selector):
            name = found["metadata"]["name"]
            api.delete(each.api_version, each.kind, name)
            removed.append(f"{each.kind}/{name}")
    return removed


def _listed(api: Api, kind: ClusterKind, selector: str) -> list[Manifest]:
    """Objects of a kind. Who may not list it has made none: each profile has its rights."""
    try:
        return api.list(kind.api_version, kind.kind, selector=selector)
    except ApiError as error:
        if error.lacks is None or kind == _NAMESPACE:
            raise
        return []


def _is_served(api: Api, kind: ClusterKind) -> bool:
    try:
        return api.serves(kind.api_version, kind.kind)
    except ApiError as error:
        if error.status == 0:
            raise
        return False
