"""The namespace of an application."""

from __future__ import annotations

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.field_managers import others
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.ends import await_namespace

REMOVAL_LIMIT = 90.0
"""Seconds for everything of an application to end: servers drain first."""
OURS = "plimsoll.dev/made"


def prepare_namespace(context: ClusterContext) -> None:
    """Make the namespace, unless it is there. One that somebody else makes at the same moment is left as they made it.

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


def is_made(application: str, namespace: Manifest) -> bool:
    """Whether a namespace was made for an application, or for one that has left it to others."""
    labels = namespace["metadata"].get("labels") or {}
    return labels.get(OURS) == "namespace" and labels.get(names.APPLICATION, application) == application


def _make(context: ClusterContext) -> None:
    api, namespace = context.api, namespace_manifest(context.application, context.namespace)
    try:
        if others(api.apply(namespace, force=False)):
            name = {"name": namespace["metadata"]["name"]}
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": name}, force=False)
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


def await_end(api: Api, namespace: str, *, leaving_only: bool = False) -> None:
    """Wait for the end of a namespace; with `leaving_only` of one that is ending already."""
    await_namespace(api, namespace, REMOVAL_LIMIT, leaving_only=leaving_only)
