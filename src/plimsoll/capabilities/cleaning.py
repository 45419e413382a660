"""Removes what checks have made and not removed, found by the label that all of it carries."""

from __future__ import annotations

from plimsoll.capabilities.probe_namespace import LABEL
from plimsoll.kubernetes.api import Api, ApiError

# Kinds without a namespace that probes make, in the order in which they can go.
_ELSEWHERE = (
    ("kueue.x-k8s.io/v1beta1", "ClusterQueue"),
    ("kueue.x-k8s.io/v1beta1", "ResourceFlavor"),
)


def clean(api: Api, run: str = "") -> list[str]:
    """Delete all of it, or of one check by its run. Gives what was found, as kind/name."""
    selector = f"{LABEL}={run}" if run else LABEL
    removed = []
    for api_version, kind in (*_ELSEWHERE, ("v1", "Namespace")):
        if not _served(api, api_version, kind):
            continue
        for each in api.list(api_version, kind, selector=selector):
            name = each["metadata"]["name"]
            api.delete(api_version, kind, name)
            removed.append(f"{kind}/{name}")
    return removed


def _served(api: Api, api_version: str, kind: str) -> bool:
    try:
        return api.serves(api_version, kind)
    except ApiError as error:
        if error.status == 0:
            raise
        return False
