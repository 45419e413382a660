"""Where a probe acts: a namespace of its own, in which everything carries the check's label and is recorded first."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.secrets import without_secrets
from plimsoll.kubernetes.api import Api, ApiError, Manifest

LABEL = "plimsoll.dev/check"
SHELL_IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.59"
NAMESPACED_LIMIT = 60.0
_UNSEEN_LIMIT = 10.0
_PAUSE = 0.5
# A registry that hiccups is tried again by the kubelet; one that still refuses after this time has no such image.
_PULL_PATIENCE = 20.0
_TROUBLE_EVERY = 4.0
_PACE_LIMIT = 120.0
_HOPELESS = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff"})
Answer = TypeVar("Answer")


_NO_RIGHT = re.compile(r'User "[^"]*" cannot ')


class OutOfTime(Exception):
    """The check's own time limit has passed, or its user has had enough."""


class Obstructed(PlimsollError):
    """Something that is no part of the capability stands in the way; the hint is what to do about it."""


class CheckSettings(Struct, frozen=True, kw_only=True):
    """What the user asked of a check: `images` is a prefix in place of registry.k8s.io, `deadline` a monotonic time.

    `patience` multiplies every wait: a slow cluster is given more time, never less.
    """

    run: str
    images: str = ""
    deadline: float = float("inf")
    patience: float = 1.0
    stopped: threading.Event = msgspec.field(default_factory=threading.Event)

    def stop(self) -> None:
        """Have every probe break off at its next look."""
        self.stopped.set()

    def check_time(self, what: str) -> None:
        """Raises OutOfTime when the check is to end."""
        if self.stopped.is_set():
            raise OutOfTime("the check was interrupted")
        if time.monotonic() > self.deadline:
            raise OutOfTime(f"the check's time ran out while waiting for {what}")

    def image(self, name: str = SHELL_IMAGE) -> str:
        """An image's name under the user's registry."""
        if not self.images:
            return name
        return f"{self.images.rstrip('/')}/{name.partition('/')[2]}"


class ProbeNamespace:
    """One probe's namespace and record. What is made is noted before: a kill leaves nothing unknown."""

    def __init__(
        self, api: Api, requirement: str, settings: CheckSettings, record: Callable[[Observation], None]
    ) -> None:
        self.api = api
        self.requirement = requirement
        self.settings = settings
        self.name = f"plimsoll-{settings.run}-{requirement.replace('_', '-')}"[:63].rstrip("-")
        self._record = record
        self._pulling: dict[str, float] = {}
        self._elsewhere: list[tuple[str, str, str, str | None]] = []

    def note(self, event: str, **values: Any) -> None:
        """Record a fact, without credentials."""
        self._record(observed("check", self.requirement, event, **without_secrets(values)))

    def create(self, level: str = "restricted") -> None:
        """Make the namespace, at a Pod Security level."""
        labels = {LABEL: self.settings.run, "pod-security.kubernetes.io/enforce": level}
        self.note("namespace", name=self.name, level=level)
        metadata = {"name": self.name, "labels": labels}
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        # Pods are refused until the namespace has its account.
        self.wait("the namespace's account", self._account, NAMESPACED_LIMIT)

    def _account(self) -> bool:
        try:
            self.api.get("v1", "ServiceAccount", "default", self.name)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def remove(self) -> None:
        """Remove all of it, without waiting for the end."""
        for api_version, kind, name, namespace in reversed(self._elsewhere):
            self.api.delete(api_version, kind, name, namespace)
        for pod in self.api.list("v1", "Pod", self.name):
            self.api.delete("v1", "Pod", pod["metadata"]["name"], self.name, grace=1)
        self.api.delete("v1", "Namespace", self.name)

    def apply(self, manifest: Manifest) -> Manifest:
        """Make or change an object. Raises ApiError when it is refused."""
        mine = self.labelled(manifest)
        self.note("applied", kind=mine["kind"], name=mine["metadata"]["name"], manifest=manifest)
        end = time.monotonic() + _UNSEEN_LIMIT
        while True:
            try:
                return self.api.apply(mine)
            except ApiError as error:
                # A webhook that reads namespaces from a copy of its own may not have ours yet.
                unseen = self.name in error.message and "not found" in error.message
                if not unseen or time.monotonic() > end:
                    raise
            self.settings.check_time("an admission webhook to know the namespace")
            time.sleep(_PAUSE)

    def accepts(self, manifest: Manifest, label: str) -> bool:
        """Whether the cluster takes an object; its answer is recorded under `label`, and nothing is kept (dry run)."""
        try:
            self.api.create(self.labelled(manifest), dry_run=True)
        except ApiError as error:
            # To lack a right is no refusal of the object.
            if error.status in (0, 401) or (error.status == 403 and _NO_RIGHT.search(error.message)):
                raise
            self.note("attempt", label=label, taken=False, status=error.status, message=error.message)
            return False
        self.note("attempt", label=label, taken=True)
        return True

    def labelled(self, manifest: Manifest) -> Manifest:
        """The manifest with our label, and in our namespace where its kind lies in one."""
        metadata = dict(manifest["metadata"])
        metadata["labels"] = {**metadata.get("labels", {}), LABEL: self.settings.run}
        namespaced = self.api.kind(manifest["apiVersion"], manifest["kind"])["namespaced"]
        if namespaced:
            metadata.setdefault("namespace", self.name)
        place = metadata.get("namespace")
        if place != self.name:
            self._elsewhere.append((manifest["apiVersion"], manifest["kind"], metadata["name"], place))
        return {**manifest, "metadata": metadata}

    def list(self, api_version: str, kind: str, selector: str = "") -> list[Manifest]:
        """Objects of the namespace."""
        return self.api.list(api_version, kind, self.name, selector)

    def get(self, api_version: str, kind: str, name: str) -> Manifest:
        """An object of the namespace."""
        return self.api.get(api_version, kind, name, self.name)

    def wait(self, what: str, question: Callable[[], Answer], limit: float) -> Answer | None:
        """The first true answer, or None after `limit` seconds; either is recorded with the time it took.

        Raises OutOfTime when the check as a whole has no time left, and Obstructed when it is seen that what is waited
        for cannot come: an image that cannot be pulled, a quota that is full.
        """
        began = time.monotonic()
        looked = began
        while True:
            answer = question()
            now = time.monotonic()
            if answer:
                self.note("came", what=what, seconds=round(now - began, 2))
                return answer
            if now - began > limit * self.settings.patience:
                self.note("did-not-come", what=what, seconds=round(now - began, 2))
                return None
            if now - looked > _TROUBLE_EVERY:
                looked = now
                self._look_for_trouble(now)
            self.settings.check_time(what)
            time.sleep(_PAUSE)

    def _look_for_trouble(self, now: float) -> None:
        for pod in self.list("v1", "Pod"):
            for each in pod.get("status", {}).get("containerStatuses", []):
                waiting = each.get("state", {}).get("waiting", {})
                reason = waiting.get("reason", "")
                if reason in _PULLING:
                    since = self._pulling.setdefault(pod["metadata"]["name"], now)
                    reason = "" if now - since < _PULL_PATIENCE else reason
                if reason in _HOPELESS | _PULLING:
                    problem = waiting.get("message", reason)
                    raise Obstructed(
                        f"the image {each['image']} cannot be had on {pod['spec'].get('nodeName')}: {problem[:200]}",
                        hint="--images PREFIX names a registry that has it",
                    )
        for event in self.list("v1", "Event"):
            if "exceeded quota" in event.get("message", ""):
                raise Obstructed(event["message"][:300], hint="raise the quota, or exempt namespaces of checks from it")

    def watch_for(self, seconds: float, look: Callable[[], None]) -> None:
        """Look again and again for a while: for what must not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.settings.check_time("nothing to happen")
            look()
            time.sleep(_PAUSE)

    def pod(self, name: str, script: str | None = None, **more: Any) -> Manifest:
        """Make a pod that runs a shell script, or waits. `more`: labels, container, and the pod's spec."""
        return self.apply(self.pod_manifest(name, script, **more))

    def pod_manifest(
        self,
        name: str,
        script: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        container: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Manifest:
        """A pod under the restricted Pod Security level unless its container says otherwise."""
        main = self.container(script, **(container or {}))
        default = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": dict(labels or {"app": name})},
            "spec": {**default, "containers": [main], **spec},
        }

    def container(self, script: str | None = None, **more: Any) -> Manifest:
        """A container that runs a shell script, or waits."""
        command = {"command": ["sh", "-c", script]} if script else {"args": ["pause"]}
        return {
            "name": "main",
            "image": self.settings.image(),
            "securityContext": RESTRICTED,
            **command,
            **more,
        }

    def phase(self, pod: str) -> str:
        """The pod's phase; empty when there is no such pod."""
        try:
            return str(self.get("v1", "Pod", pod)["status"].get("phase", ""))
        except ApiError as error:
            if error.status == 404:
                return ""
            raise

    def wait_for_end(self, pod: str, limit: float) -> bool:
        """Wait for a pod's end and record how it went and what it printed; false when it does not end."""
        done = self.wait(f"the end of {pod}", lambda: self.phase(pod) in ("Succeeded", "Failed"), limit)
        found = self.get("v1", "Pod", pod)
        self.note("pod", **pod_fields(found), log=self.log(pod) if done else "")
        return bool(done)

    def log(self, pod: str, container: str = "main") -> str:
        """What a container has printed; empty when its node does not tell, which is recorded.

        Raises ApiError when the API server itself is gone or refuses us.
        """
        try:
            return self.api.logs(pod, self.name, container)
        except ApiError as error:
            if error.status in (0, 401, 403):
                raise
            self.note("no-log", pod=pod, container=container, status=error.status, message=error.message[:200])
            return ""

    def measure_pace(self) -> float:
        """Seconds from the creation of a pod that does nothing to its end: how busy the cluster is. Recorded."""
        began = time.monotonic()
        self.pod("pace", "true")
        self.wait("the end of pace", self.pace_pod_ended, _PACE_LIMIT)
        took = round(time.monotonic() - began, 2)
        self.note("pace", seconds=took)
        return took

    def pace_pod_ended(self) -> bool:
        """Whether the pod of `pace` has come to its end."""
        return self.phase("pace") in ("Succeeded", "Failed")


RESTRICTED: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod_fields(pod: Manifest) -> dict[str, Any]:
    """What of a pod a judge may want to know."""
    status = pod.get("status", {})
    waiting = [
        each["state"]["waiting"].get("reason", "")
        for each in status.get("containerStatuses", [])
        if "waiting" in each.get("state", {})
    ]
    scheduled: Manifest = next((each for each in status.get("conditions", []) if each["type"] == "PodScheduled"), {})
    return {
        "name": pod["metadata"]["name"],
        "node": pod["spec"].get("nodeName", ""),
        "phase": status.get("phase", ""),
        "reason": status.get("reason", ""),
        "waiting": waiting,
        "unscheduled": scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        "scheduler": pod["spec"].get("schedulerName", ""),
        "images": [each.get("imageID", "") for each in status.get("containerStatuses", [])],
    }
