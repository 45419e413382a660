"""The namespace of an application."""

from __future__ import annotations

import time

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext

REMOVAL_LIMIT = 90.0
"""Seconds for everything of an application to end: servers drain first."""
OURS = "plimsoll.dev/made"


def prepare_namespace(context: ClusterContext) -> None:
    """Make the namespace, unless it is there.

    Raises TargetError when the namespace of before does not end.
    """
    await_end(context.api, context.namespace, leaving_only=True)
    if context.api.find("v1", "Namespace", context.namespace) is None:
        context.api.apply(namespace_manifest(context.application, context.namespace))


def namespace_manifest(application: str, namespace: str) -> Manifest:
    """The namespace, in which nothing runs that the restricted Pod Security level does not allow."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    labels = {**names.of_application(application), OURS: "namespace", **level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}


def await_end(api: Api, namespace: str, *, leaving_only: bool = False) -> None:
    """Wait for the end of a namespace; with `leaving_only` of one that is ending already."""
    deadline = time.monotonic() + REMOVAL_LIMIT
    while (found := api.find("v1", "Namespace", namespace)) is not None:
        if leaving_only and not found["metadata"].get("deletionTimestamp"):
            return
        if time.monotonic() > deadline:
            hint = "what it waits for stands in its conditions: kubectl describe namespace"
            raise TargetError(f"the namespace did not end within {REMOVAL_LIMIT:g} s", where=namespace, hint=hint)
        time.sleep(0.3)
