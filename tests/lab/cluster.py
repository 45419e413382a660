"""Helpers of the lab's tests: create pods, run commands in them, and wait for states."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import layout
from lab.api import ApiError
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images.names import AGNHOST
from lab.kubectl import WaitAborted, apply, delete, get, kubectl, wait

Manifest = dict[str, Any]
ROOT = Path(__file__).parents[2]


def run_lab(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False, env=environment)


def until(question: Callable[[], Any], limit: float = 30.0, what: str = "it") -> Any:
    """Polls until the answer is true, and returns it. Raises AssertionError with the last answer after `limit` s."""
    end = time.monotonic() + limit
    while not (answer := question()):
        assert time.monotonic() < end, f"timed out after {limit:.0f} s waiting for {what}; last answer: {answer!r}"
        time.sleep(0.2)
    return answer


class Namespace:
    """A namespace of a test, deleted after the test. All its pods get the fields of `spec` in addition to their own."""

    def __init__(self, spec: Manifest | None = None, **labels: str) -> None:
        self.spec = spec or {}
        self.name = f"test-{secrets.token_hex(4)}"
        apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}}))
        # The API server refuses pods before their service account exists.
        until(lambda: self.get("serviceaccounts"), what="the service account of its pods")

    def delete(self) -> None:
        """Kills the pods at once, and leaves the rest to Kubernetes."""
        delete("pods", namespace=self.name, grace=0)
        delete("namespace", self.name)

    def pod(self, name: str = "pod", *, wait: bool = True, labels: Manifest | None = None, **spec: Any) -> str:
        """Creates a pod and returns its name. Its first container pauses by default."""
        manifest = pod_manifest(name, labels=labels, **{**self.spec, **spec})
        self.create(manifest)
        if wait:
            self.wait_running(name)
        return name

    def wait_running(self, name: str, limit: float = 60.0) -> None:
        def ready() -> bool:
            status = self.get("pod", name)["status"]
            assert status["phase"] not in ("Failed", "Succeeded"), status
            return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))

        try:
            until(ready, limit=limit, what=f"{name} to be Ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{kubectl('describe', 'pod', name, f'-n{self.name}')}") from None

    def create(self, manifest: Manifest) -> None:
        manifest.setdefault("metadata", {})["namespace"] = self.name

        def refused() -> str | None:
            """A temporary refusal: a webhook does not know the namespace yet, or restarts after a test that lost a node."""
            try:
                apply(json.dumps(manifest))
            except ApiError as error:
                if f'Namespace "{self.name}" not found' in str(error) or "failed calling webhook" in str(error):
                    return str(error)
                raise WaitAborted(str(error)) from None
            return None

        wait(f"the API server to accept an object in {self.name}", refused, limit=60)

    def get(self, kind: str, name: str = "") -> Any:
        return get(kind, name, namespace=self.name)

    def address(self, pod: str) -> str:
        return str(until(lambda: self.get("pod", pod)["status"].get("podIP"), what=f"address of {pod}"))

    def execute(
        self, pod: str, *command: str, container: str = "main", limit: float = 30.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in a pod. The caller checks the exit status."""
        program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
        prefix = [
            str(program),
            f"--kubeconfig={layout.KUBECONFIG}",
            "exec",
            f"-n{self.name}",
            pod,
            f"-c{container}",
            "--",
        ]
        return subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=limit, check=False)

    def reaches(self, pod: str, address: str, seconds: int = 2) -> bool:
        """Whether a pod gets an HTTP answer from an address."""
        return self.execute(pod, "curl", "-sS", "-m", str(seconds), f"http://{address}").returncode == 0

    def delete_pod(self, name: str) -> None:
        kubectl("delete", "pod", name, f"-n{self.name}", "--grace-period=0", "--force", "--wait=true")


def pod_manifest(name: str, *, labels: Manifest | None = None, **spec: Any) -> Manifest:
    container = {"name": "main", "image": AGNHOST, **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container, *spec.pop("more", [])], **spec},
    }


def phase(namespace: Namespace, pod: str) -> str:
    return str(namespace.get("pod", pod)["status"]["phase"])
