"""The namespace of one probe: everything in it has the check's label, and is recorded before it is created."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from plimsoll.capabilities import pods
from plimsoll.capabilities.check_settings import CheckSettings, Obstructed
from plimsoll.capabilities.records import (
    Applied,
    Attempted,
    Came,
    CheckRecord,
    ClusterPace,
    DidNotCome,
    LogUnavailable,
    NamespaceCreated,
    PodEnded,
)
from plimsoll.capabilities.rights import MAKE, Right
from plimsoll.kubernetes.api import Api, ApiError, Manifest

LABEL = "plimsoll.dev/check"
RIGHTS = (
    Right(group="", resources=("namespaces", "pods"), verbs=MAKE),
    Right(group="", resources=("pods/log", "serviceaccounts"), verbs=("get",)),
    Right(group="", resources=("events",), verbs=("list",)),
)
"""The rights that every probe needs for its namespace and pods, besides those of the inventory."""
NAMESPACED_LIMIT = 60.0
_UNSEEN_LIMIT = 10.0
_PAUSE = 0.5
# The kubelet tries a registry again that fails for a moment; one that fails for longer does not have the image.
_PULL_PATIENCE = 20.0
_TROUBLE_EVERY = 4.0
_PACE_LIMIT = 120.0
_HOPELESS = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff"})
_NO_RIGHT = re.compile(r'User "[^"]*" cannot ')
Answer = TypeVar("Answer")


class ProbeNamespace:
    """The namespace and the record of one probe. It records an object before it creates it, so that a kill hides none.

    `name` is the name of the namespace; `write` takes each record.
    """

    def __init__(
        self, api: Api, requirement: str, settings: CheckSettings, write: Callable[[CheckRecord], None]
    ) -> None:
        self.api = api
        self.settings = settings
        self.name = f"plimsoll-{settings.run}-{requirement.replace('_', '-')}"[:63].rstrip("-")
        self._write = write
        self._pulling: dict[str, float] = {}
        self._outside: list[tuple[str, str, str, str | None]] = []

    def note(self, record: CheckRecord) -> None:
        """Record what the probe does or sees."""
        self._write(record)

    def create(self, level: str = "restricted") -> None:
        """Create the namespace at a Pod Security level."""
        labels = {LABEL: self.settings.run, "pod-security.kubernetes.io/enforce": level}
        self.note(NamespaceCreated(name=self.name, level=level))
        metadata = {"name": self.name, "labels": labels}
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        # The API server refuses pods until the namespace has its service account.
        self.wait("the namespace's account", self._has_account, NAMESPACED_LIMIT)

    def _has_account(self) -> bool:
        return self.api.find("v1", "ServiceAccount", "default", self.name) is not None

    def remove(self) -> None:
        """Delete everything that the probe created, without waiting for its end."""
        for api_version, kind, name, namespace in reversed(self._outside):
            self.api.delete(api_version, kind, name, namespace)
        for pod in self.api.list("v1", "Pod", self.name):
            self.api.delete("v1", "Pod", pod["metadata"]["name"], self.name, grace=1)
        self.api.delete("v1", "Namespace", self.name)

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or change an object. Raises ApiError when the API server refuses it."""
        labelled = self.labelled(manifest)
        self.note(Applied(kind=labelled["kind"], name=labelled["metadata"]["name"], manifest=manifest))
        end = time.monotonic() + _UNSEEN_LIMIT
        while True:
            try:
                return self.api.apply(labelled)
            except ApiError as error:
                # A webhook that reads namespaces from its own cache may not have this one yet.
                unseen = self.name in error.message and "not found" in error.message
                if not unseen or time.monotonic() > end:
                    raise
            self.settings.check_time("an admission webhook to know the namespace")
            time.sleep(_PAUSE)

    def accepts(self, manifest: Manifest, label: str) -> bool:
        """Whether the API server accepts an object in a dry run; the answer is recorded under `label`."""
        try:
            self.api.create(self.labelled(manifest), dry_run=True)
        except ApiError as error:
            # A missing right is no refusal of the object.
            if error.status in (0, 401) or (error.status == 403 and _NO_RIGHT.search(error.message)):
                raise
            self.note(Attempted(label=label, taken=False, status=error.status, message=error.message))
            return False
        self.note(Attempted(label=label, taken=True))
        return True

    def labelled(self, manifest: Manifest) -> Manifest:
        """The manifest with the check's label, and in this namespace when its kind belongs to namespaces."""
        metadata = dict(manifest["metadata"])
        metadata["labels"] = {**metadata.get("labels", {}), LABEL: self.settings.run}
        namespaced = self.api.kind(manifest["apiVersion"], manifest["kind"])["namespaced"]
        if namespaced:
            metadata.setdefault("namespace", self.name)
        place = metadata.get("namespace")
        if place != self.name:
            self._outside.append((manifest["apiVersion"], manifest["kind"], metadata["name"], place))
        return {**manifest, "metadata": metadata}

    def list(self, api_version: str, kind: str, selector: str = "") -> list[Manifest]:
        """Objects of the namespace."""
        return self.api.list(api_version, kind, self.name, selector)

    def get(self, api_version: str, kind: str, name: str) -> Manifest:
        """One object of the namespace."""
        return self.api.get(api_version, kind, name, self.name)

    def wait(self, what: str, question: Callable[[], Answer], limit: float) -> Answer | None:
        """The first true answer, or None after `limit` seconds; either is recorded with the seconds that passed.

        Raises OutOfTime when the check as a whole reaches its limit, and Obstructed when the wait cannot succeed:
        an image cannot be pulled, or a quota is exhausted.
        """
        began = time.monotonic()
        looked = began
        while True:
            answer = question()
            now = time.monotonic()
            if answer:
                self.note(Came(what=what, seconds=round(now - began, 2)))
                return answer
            if now - began > limit * self.settings.patience:
                self.note(DidNotCome(what=what, seconds=round(now - began, 2)))
                return None
            if now - looked > _TROUBLE_EVERY:
                looked = now
                self._look_for_trouble(now)
            self.settings.check_time(what)
            time.sleep(_PAUSE)

    def _look_for_trouble(self, now: float) -> None:
        for pod in self.list("v1", "Pod"):
            for each in pod.get("status", {}).get("containerStatuses", []):
                self._look_for_image(pod, each, now)
        for event in self.list("v1", "Event"):
            if "exceeded quota" in event.get("message", ""):
                raise Obstructed(
                    event["message"][:300], hint="raise the quota, or exempt the namespaces of checks from it"
                )

    def _look_for_image(self, pod: Manifest, container: Manifest, now: float) -> None:
        waiting = container.get("state", {}).get("waiting", {})
        reason = waiting.get("reason", "")
        if reason in _PULLING:
            since = self._pulling.setdefault(pod["metadata"]["name"], now)
            reason = "" if now - since < _PULL_PATIENCE else reason
        if reason in _HOPELESS | _PULLING:
            problem = waiting.get("message", reason)
            raise Obstructed(
                f"node {pod['spec'].get('nodeName')} cannot pull the image {container['image']}: {problem[:200]}",
                hint="--images PREFIX names a registry that has it",
            )

    def watch_for(self, seconds: float, look: Callable[[], None]) -> None:
        """Call `look` every half second for `seconds`: for what must not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.settings.check_time("nothing to happen")
            look()
            time.sleep(_PAUSE)

    def pod(
        self,
        name: str,
        script: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        container: Mapping[str, object] | None = None,
        **spec: object,
    ) -> Manifest:
        """Create a pod that runs a shell script, or waits: see `pod_manifest`."""
        return self.apply(self.pod_manifest(name, script, labels=labels, container=container, **spec))

    def pod_manifest(
        self,
        name: str,
        script: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        container: Mapping[str, object] | None = None,
        **spec: object,
    ) -> Manifest:
        """A pod under the restricted Pod Security level, unless `container` has fields that say otherwise.

        `spec` are further fields of the pod's spec.
        """
        return pods.pod_manifest(name, self.container(script, **(container or {})), labels, spec)

    def container(self, script: str | None = None, **more: object) -> Manifest:
        """A container of the shell image that runs a script, or waits."""
        return pods.container_manifest(self.settings.image(), script, **more)

    def phase(self, pod: str) -> str:
        """The phase of a pod; empty when there is no such pod."""
        found = self.api.find("v1", "Pod", pod, self.name)
        return str(found["status"].get("phase", "")) if found else ""

    def has_ended(self, pod: str) -> bool:
        """Whether a pod succeeded or failed."""
        return self.phase(pod) in ("Succeeded", "Failed")

    def wait_for_end(self, pod: str, limit: float) -> bool:
        """Wait for a pod's end, and record its state and log; false when it does not end."""
        done = self.wait(f"the end of {pod}", lambda: self.has_ended(pod), limit)
        found = self.get("v1", "Pod", pod)
        self.note(PodEnded(**pods.pod_fields(found), log=self.log(pod) if done else ""))
        return bool(done)

    def log(self, pod: str, container: str = "main") -> str:
        """The log of a container; empty, and recorded as unavailable, when its node does not answer.

        Raises ApiError when the API server does not answer or refuses the caller.
        """
        try:
            return self.api.logs(pod, self.name, container)
        except ApiError as error:
            if error.status in (0, 401, 403):
                raise
            self.note(LogUnavailable(pod=pod, container=container, status=error.status, message=error.message[:200]))
            return ""

    def measure_pace(self) -> float:
        """Seconds from the creation of a pod that does nothing to its end: how busy the cluster is. Recorded."""
        began = time.monotonic()
        self.pod("pace", "true")
        self.wait("the end of pace", self.pace_pod_ended, _PACE_LIMIT)
        seconds = round(time.monotonic() - began, 2)
        self.note(ClusterPace(seconds=seconds))
        return seconds

    def pace_pod_ended(self) -> bool:
        """Whether the pod of `measure_pace` ended."""
        return self.has_ended("pace")
