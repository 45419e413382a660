"""Access to the cluster as its administrator: through the lab's own kubectl, and directly where the lab polls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Any

from lab import api, layout
from lab.api import ApiError
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.commands import run
from lab.documents import parse
from lab.errors import LabError

FIELD_MANAGER = "plimsoll-lab"


class WaitAborted(LabError):  # it is a state of the cluster
    """The awaited state cannot come any more, so that `wait` stops at once."""


def kubectl(*arguments: str, stdin: str | None = None, limit: float = 60.0) -> str:
    """Runs kubectl and returns its output. Raises LabError with kubectl's message."""
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    # By default kubectl leaves its discovery cache in the user's home.
    own = (f"--kubeconfig={layout.KUBECONFIG}", f"--cache-dir={layout.FOLDER / 'kubectl'}")
    return run(program, *own, *arguments, stdin=stdin, limit=limit)


def api_problem() -> str | None:
    """The reason why the API server is not ready; None when it is ready."""
    try:
        answer = str(api.request("GET", "/readyz", limit=5))
    except LabError as error:
        return str(error)
    return None if answer.strip() == "ok" else answer


def apply(manifest: str, limit: float = 60.0) -> None:
    """Server-side apply of all documents; idempotent. Raises LabError with the refusal of each document."""
    refusals: list[ApiError] = []
    for each in parse(manifest):
        metadata = each["metadata"]
        resource = api.resource_of(each)
        path = resource.path(metadata.get("namespace") or "default", metadata["name"])
        options = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        try:
            api.request("PATCH", path, each, media="application/apply-patch+yaml", limit=limit, **options)
        except ApiError as error:
            refusals.append(ApiError(error.status, f"{each['kind']} '{metadata['name']}': {error}"))
    if refusals:
        raise refusals[0] if len(refusals) == 1 else LabError("\n".join(map(str, refusals)))


def get(kind: str, name: str = "", *, namespace: str | None = None) -> Any:
    """One object, or the items of a list, as decoded JSON. The namespace is 'default' unless given; "*" is all."""
    resource = api.find_resource(kind)
    found = api.request("GET", resource.path(None if namespace == "*" else namespace or "default", name))
    named = {"apiVersion": resource.group_version, "kind": resource.kind}
    objects = [{**named, **each} for each in ([found] if name else found["items"])]
    for each in objects:
        # The owners of each field: longer than the rest of the object, and unused here.
        each["metadata"].pop("managedFields", None)
    return objects[0] if name else objects


def delete(kind: str, name: str = "", *, namespace: str | None = None, grace: int | None = None) -> None:
    """Deletes an object, or all in a namespace, without waiting; `grace` is in seconds. A missing one is no error."""
    path = api.find_resource(kind).path(namespace or "default", name)
    try:
        api.request("DELETE", path, {} if grace is None else {"gracePeriodSeconds": grace})
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def render_template(path: Path, **values: str) -> str:
    """The manifest at `path` with its $NAMES replaced. Raises LabError for a $NAME without a value."""
    try:
        return Template(path.read_text()).substitute(values)
    except KeyError as missing:
        raise LabError(f"{path} needs a value for ${missing.args[0]}, and there is none") from None


def wait(what: str, question: Callable[[], str | None], limit: float) -> None:
    """Polls until `question` returns None. Raises LabError after `limit` s, with its last answer: what is missing."""
    end = time.monotonic() + limit
    while True:
        try:
            answer = question()
        except WaitAborted:
            raise
        except LabError as error:
            answer = str(error)
        if answer is None:
            return
        if time.monotonic() > end:
            raise LabError(f"timed out after {limit:.0f} s waiting for {what}; {answer}")
        time.sleep(0.2)


def wait_for_rollout(namespace: str, *names: str, limit: float = 120.0) -> None:
    """Waits until workloads (`deployment/x`, `daemonset/x`, `statefulset/x`) have all their pods ready.

    Raises LabError at once, with the end of the pod's log, when a pod keeps failing.
    """
    for name in names:
        kind, _, short = name.partition("/")

        def missing(kind: str = kind, short: str = short) -> str | None:
            found = get(kind, short, namespace=namespace)
            if _is_rolled_out(found):
                return None
            selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
            pods = json.loads(kubectl("get", "pods", f"-n{namespace}", f"-l{selector}", "--output=json"))["items"]
            problems = [problem for pod in pods if (problem := _pod_problem(pod))]
            return "; ".join(problems) or f"{len(pods)} pods exist, and not all are ready"

        wait(f"{name} in {namespace}", missing, limit)


def _is_rolled_out(found: dict[str, Any]) -> bool:
    status = found.get("status", {})
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return False
    if found["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(status.get("updatedNumberScheduled", 0) == wanted == status.get("numberReady", 0))
    wanted = found["spec"].get("replicas", 1)
    return bool(
        wanted == status.get("updatedReplicas", 0) == status.get("readyReplicas", 0) == status.get("replicas", 0)
    )


_TOLERATED_RESTARTS = 3


def _pod_problem(pod: dict[str, Any]) -> str | None:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    statuses = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
    for each in statuses:
        waiting = each["state"].get("waiting", {})
        if each["restartCount"] >= _TOLERATED_RESTARTS and waiting.get("reason"):
            last = each.get("lastState", {}).get("terminated", {})
            words = kubectl("logs", name, f"-n{namespace}", f"-c{each['name']}", "--previous", "--tail=5", limit=10)
            raise WaitAborted(
                f"{each['name']} of {namespace}/{name} keeps failing: {last.get('message', '')} {words.strip()}"
            )
        if waiting.get("reason", "").startswith("ErrImage"):
            raise WaitAborted(f"{namespace}/{name}: {waiting.get('message') or waiting['reason']}")
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{name}: {condition.get('message', 'not scheduled')}"
    return None
