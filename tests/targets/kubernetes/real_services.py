"""Services whose pods are real servers of this machine, found by whoever asks as a Service finds its pods."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from plimsoll.kubernetes.memory.controllers import Ended, Running
from plimsoll.kubernetes.objects import has_condition
from plimsoll.runtime.pod_task import WORK
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import PORT
from plimsoll.targets.kubernetes.manifests.serving import ADMIN, TOLD
from tests.servers import free_port
from tests.targets.kubernetes.bench import APPLICATION, Bench
from tests.targets.kubernetes.real_pods import brought, on_a_node

READY_LIMIT = 60.0
WITHDRAWN = 0.3
"""Seconds between a pod's end being decided and its server being told: who asks has looked at it before that."""


class RealServices:
    """`ports` are those of servers that answer, by the names of their pods."""

    def __init__(self, bench: Bench, place: Path) -> None:
        self._bench = bench
        self._place = place
        bench.serves = self.program
        bench.says_ready = lambda pod: names.SERVICE in pod["metadata"]["labels"]
        self.ports: dict[str, int] = {}

    def program(self, running: Running) -> Ended | None:
        """Bring the pod's models, start its server, and end that with the pod."""
        place = self._place / running.name
        (place / "work").mkdir(parents=True)
        spec = running.pod["spec"]
        if problem := brought(self._bench, spec, place):
            return Ended(code=1, message=problem)
        with self._started(spec, place) as (process, port):
            self.ports[running.name] = port
            self._bench.cluster.lead(APPLICATION, running.name, PORT, port)
            running.ready()
            running.stopped.wait()
            time.sleep(WITHDRAWN)
            process.terminate()
            code = process.wait(60)
            del self.ports[running.name]
        return Ended(code=code)

    @contextmanager
    def _started(self, spec: dict[str, Any], place: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        told = next(each["configMap"]["name"] for each in spec["volumes"] if each["name"] == "told")
        found = self._bench.find("ConfigMap", told)
        assert found is not None
        text = found["data"]["service.json"].replace(WORK, str(place / "work"))
        for service in {each for each in ("chat",) if f"-{each}.{APPLICATION}.svc" in text}:
            text = text.replace(f"{names.service(APPLICATION, service)}.{APPLICATION}.svc", self.address(service))
        (place / "service.json").write_text(text)
        port = free_port()
        moved = {"python": sys.executable, "0.0.0.0": "127.0.0.1", str(PORT): str(port)}
        command = [moved.get(word, word) for word in spec["containers"][0]["command"]]
        command = [word.replace(TOLD, str(place)).replace(ADMIN, str(place)) for word in command]
        with (place / "server.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=on_a_node())
        try:
            self._await(port, process, place / "server.log")
            yield process, port
        finally:
            process.kill()
            process.wait()

    @staticmethod
    def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + READY_LIMIT
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)

    def address(self, service: str) -> str:
        """Host and port of a ready server of a service."""
        for pod in self._bench.cluster.list("v1", "Pod", APPLICATION, f"{names.SERVICE}={service}"):
            port = self.ports.get(pod["metadata"]["name"])
            if port and has_condition(pod, "Ready") and not pod["metadata"].get("deletionTimestamp"):
                return f"127.0.0.1:{port}"
        raise AssertionError(f"no server of {service} is ready")


class Asking:
    """Somebody who asks a service one question after the other. `answers` and `failures` grow while it does."""

    def __init__(self, services: RealServices, service: str, body: dict[str, Any]) -> None:
        self.answers: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self._services, self._service, self._body = services, service, body
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                url = f"http://{self._services.address(self._service)}/v1/chat/completions"
                answer = httpx.post(url, json=self._body, timeout=60, trust_env=False)
                if answer.status_code == 200:
                    self.answers.append(answer.json())
                else:
                    self.failures.append(answer.text)
            except (httpx.HTTPError, AssertionError) as error:
                self.failures.append(repr(error))
            self._over.wait(0.05)
