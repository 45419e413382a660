"""An API server asked over plain HTTP, with the codes and bodies of its answers, and the manifests that tests send."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from plimsoll.kubernetes.api import Api

Manifest = dict[str, Any]
Found = TypeVar("Found")
JSON, MERGE = "application/json", "application/merge-patch+json"
PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
NOBODY = "plimsoll-contract-nobody"
"""A scheduler that no cluster has: pods that ask for it stay as they are."""


class Answer(NamedTuple):
    """An answer; `body` is empty for one that is no JSON."""

    code: int
    body: Manifest
    text: str

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def causes(self) -> list[Manifest]:
        return list(self.body.get("details", {}).get("causes", []))

    @property
    def fields(self) -> set[str]:
        return {each["field"] for each in self.causes}


def ask(
    api: Api,
    method: str,
    place: str,
    body: Any = None,
    *,
    form: str = JSON,
    headers: Any = None,
    **parameters: Any,
) -> Answer:
    """One request, sent once, whatever it comes to."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    sent = {"Content-Type": form, **(headers or {})}
    answer = api._client.request(method, place, content=content, params=parameters, headers=sent)
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = {}
    return Answer(answer.status_code, found if isinstance(found, dict) else {}, answer.text)


class Events:
    """The events of one watch, read one after the other."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self, *, bookmarks: bool = False) -> Manifest:
        """The next event. Raises StopIteration when the watch is over."""
        while True:
            found: Manifest = json.loads(next(self._lines))
            if bookmarks or found["type"] != "BOOKMARK":
                return found

    def told(self) -> tuple[str, str]:
        """Type and name of the next one."""
        found = self.next()
        return found["type"], found["object"]["metadata"]["name"]

    def ends(self) -> bool:
        """Whether nothing more comes before the watch is over."""
        return next(self._lines, None) is None


@contextlib.contextmanager
def watch(api: Api, place: str, **parameters: str) -> Iterator[Events]:
    """A watch for as long as the block runs; it ends by itself after ten seconds unless told otherwise."""
    asked = {"watch": "true", "timeoutSeconds": "10", **parameters}
    with api._client.stream("GET", place, params=asked) as answer:
        assert answer.status_code == 200, answer.read()
        yield Events(answer.iter_lines())


def until(question: Callable[[], Found], limit: float = 60.0) -> Found:
    """The first true answer: what a cluster's controllers do takes them a while."""
    end = time.monotonic() + limit
    while not (answer := question()):
        assert time.monotonic() < end, f"it did not come within {limit:g} s; last: {answer!r}"
        time.sleep(0.05)
    return answer


def config_map(name: str, data: Manifest | None = None, **metadata: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def pod(name: str, node: str = "", **metadata: Any) -> Manifest:
    spec: Manifest = {"containers": [container()], "schedulerName": NOBODY}
    spec |= {"nodeName": node} if node else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def container(name: str = "main", **more: Any) -> Manifest:
    return {"name": name, "image": "registry.example/none:1", **more}


def deployment(name: str, *containers: Manifest) -> Manifest:
    """Of no replicas: nothing of it ever runs."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers) or [container()]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def job(name: str, restart: str = "Never") -> Manifest:
    """Suspended: nothing of it ever runs."""
    template = {"spec": {"restartPolicy": restart, "containers": [container()]}}
    spec = {"suspend": True, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def service(name: str, *ports: Manifest) -> Manifest:
    spec = {"selector": {"app": name}, "ports": list(ports) or [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def owned_by(owner: Manifest, *, blocking: bool = False) -> Manifest:
    """Metadata of an object that another owns."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        **({"blockOwnerDeletion": True} if blocking else {}),
    }
    return {"ownerReferences": [reference]}
