"""The namespace of an application, and the keys by which its pods verify models."""

from __future__ import annotations

from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.ends import await_namespace
from plimsoll.targets.kubernetes.manifests.models import trust

REMOVAL_LIMIT = 90.0
"""Seconds for everything of an application to end: servers drain first."""
OURS = "plimsoll.dev/made"


def prepare_namespace(context: ClusterContext) -> None:
    """The namespace, unless it is there, and the keys by which pods verify models.

    Raises TargetError when the namespace of before does not end.
    """
    await_end(context.api, context.namespace, leaving_only=True)
    if context.api.find("v1", "Namespace", context.namespace) is None:
        context.api.apply(namespace_manifest(context.application, context.namespace))
    context.api.apply(trust_manifest(context.application, context.namespace))


def namespace_manifest(application: str, namespace: str) -> Manifest:
    """The namespace, in which nothing runs that the restricted Pod Security level does not allow."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    labels = {**names.of_application(application), OURS: "namespace", **level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}


def trust_manifest(application: str, namespace: str) -> Manifest:
    """The keys whose signatures count here: ours, and those that we have been given."""
    ring = KeyRing.default()
    ring.signer()
    keys = {path.name: path.read_text(encoding="utf-8") for path in sorted(ring.trusted.glob("*.json"))}
    return trust(application, namespace, names.of_application(application), keys)


def await_end(api: Api, namespace: str, *, leaving_only: bool = False) -> None:
    """Wait for the end of a namespace; with `leaving_only` of one that is ending already."""
    await_namespace(api, namespace, REMOVAL_LIMIT, leaving_only=leaving_only)
