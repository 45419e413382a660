"""The namespace of an application, and the keys by which its pods verify models."""

from __future__ import annotations

import time

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.manifests.models import trust

REMOVAL_LIMIT = 90.0
"""Seconds for everything of an application to end: servers drain first."""
OURS = "plimsoll.dev/made"


def prepare_namespace(context: ClusterContext) -> None:
    """The namespace, unless it is there, and the keys by which pods verify models.

    Raises TargetError when the namespace of before does not end.
    """
    try:
        await_end(context.api, context.namespace, leaving_only=True)
        if context.api.find("v1", "Namespace", context.namespace) is None:
            _make(context)
    except ApiError as error:
        if error.lacks is None or error.lacks.verb != "get":
            raise
        # Who may not look at the namespace was given one: what is wrong with it is said by what is made in it.
    context.api.apply(trust_manifest(context.application, context.namespace))


def _make(context: ClusterContext) -> None:
    try:
        context.api.apply(namespace_manifest(context.application, context.namespace))
    except ApiError as error:
        if error.lacks is None:
            raise
        hint = f"have it made (kubectl create namespace {context.namespace}), or name one of yours with --namespace"
        text = f"there is no namespace {context.namespace}, and you may not {error.lacks.verb} namespaces"
        raise TargetError(text, where=context.cluster.target, hint=hint, lasting=True) from error


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
    deadline = time.monotonic() + REMOVAL_LIMIT
    while (found := api.find("v1", "Namespace", namespace)) is not None:
        if leaving_only and not found["metadata"].get("deletionTimestamp"):
            return
        if time.monotonic() > deadline:
            hint = "what it waits for stands in its conditions: kubectl describe namespace"
            raise TargetError(f"the namespace did not end within {REMOVAL_LIMIT:g} s", where=namespace, hint=hint)
        time.sleep(0.3)
