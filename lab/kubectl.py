"""The cluster as its administrator sees it: by the kubectl that was built with it, directly where it is asked often."""

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
    """What is waited for will not come: waiting on would only take time."""


def kubectl(*arguments: str, stdin: str | None = None, limit: float = 60.0) -> str:
    """Gives what kubectl prints. Raises LabError with its words."""
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    # Its cache of what the API server offers would otherwise stay behind in the user's home.
    own = (f"--kubeconfig={layout.KUBECONFIG}", f"--cache-dir={layout.FOLDER / 'kubectl'}")
    return run(program, *own, *arguments, stdin=stdin, limit=limit)


def api_problem() -> str | None:
    """Why the API server is not ready; None when it says that it is."""
    try:
        answer = str(api.request("GET", "/readyz", limit=5))
    except LabError as error:
        return str(error)
    return None if answer.strip() == "ok" else answer


def apply(manifest: str, limit: float = 60.0) -> None:
    """Server-side apply of all documents: the same again changes nothing. Raises LabError with every refusal."""
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
    """An object, or a list's items, as decoded JSON; without a namespace of 'default', with "*" of all."""
    resource = api.find_resource(kind)
    found = api.request("GET", resource.path(None if namespace == "*" else namespace or "default", name))
    named = {"apiVersion": resource.group_version, "kind": resource.kind}
    objects = [{**named, **each} for each in ([found] if name else found["items"])]
    for each in objects:
        # Who has set which field: longer than the rest, and of no interest here.
        each["metadata"].pop("managedFields", None)
    return objects[0] if name else objects


def delete(kind: str, name: str = "", *, namespace: str | None = None, grace: int | None = None) -> None:
    """Asks for the end of an object, or of all in a namespace; `grace` in seconds. One that is gone is no error."""
    path = api.find_resource(kind).path(namespace or "default", name)
    try:
        api.request("DELETE", path, {} if grace is None else {"gracePeriodSeconds": grace})
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def render_template(path: Path, **values: str) -> str:
    """A manifest with its $NAMES replaced. Raises LabError on one that nobody gave."""
    try:
        return Template(path.read_text()).substitute(values)
    except KeyError as missing:
        raise LabError(f"{path} wants ${missing.args[0]}, which nothing gives") from None


def wait(what: str, question: Callable[[], str | None], limit: float) -> None:
    """Asks until `question` gives None. Its last answer, what is still missing, stands in the error after `limit` s."""
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
            raise LabError(f"{what}: not within {limit:.0f} s; {answer}")
        time.sleep(0.2)


def wait_for_rollout(namespace: str, *names: str, limit: float = 120.0) -> None:
    """Waits for workloads (`deployment/x`, `daemonset/x`, `statefulset/x`) to have all their pods ready.

    Raises LabError at once, with the pod's own last words, when one of them keeps failing.
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
            return "; ".join(problems) or f"{len(pods)} pods, not all of them ready"

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
