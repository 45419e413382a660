"""The namespace of an application."""

from __future__ import annotations

from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.field_managers import others
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.ends import await_namespace

REMOVAL_LIMIT = 90.0
"""Seconds for everything of an application to end: servers drain first."""
OURS = "plimsoll.dev/made"


def prepare_namespace(context: ClusterContext) -> None:
    """Make the namespace, unless it is there.

    Raises TargetError when the namespace of before does not end.
    """
    await_end(context.api, context.namespace, leaving_only=True)
    if context.api.find("v1", "Namespace", context.namespace) is None:
        _make(context.api, namespace_manifest(context.application, context.namespace))


def _make(api: Api, namespace: Manifest) -> None:
    """Make the namespace. One that somebody else has made at the same moment is theirs, and is left as they made it."""
    if others(api.apply(namespace, force=False)):
        name = {"name": namespace["metadata"]["name"]}
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": name}, force=False)


def is_made(application: str, namespace: Manifest) -> bool:
    """Whether a namespace was made for an application, or for one that has left it to others."""
    labels = namespace["metadata"].get("labels") or {}
    return labels.get(OURS) == "namespace" and labels.get(names.APPLICATION, application) == application


def namespace_manifest(application: str, namespace: str) -> Manifest:
    """The namespace, in which nothing runs that the restricted Pod Security level does not allow."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    labels = {**names.of_application(application), OURS: "namespace", **level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}


def await_end(api: Api, namespace: str, *, leaving_only: bool = False) -> None:
    """Wait for the end of a namespace; with `leaving_only` of one that is ending already."""
    await_namespace(api, namespace, REMOVAL_LIMIT, leaving_only=leaving_only)
