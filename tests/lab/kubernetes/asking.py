"""Requests to a service at its gateway, and the servers that answer them."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from lab.kubectl import get
from tests.lab.cluster import Namespace
from tests.lab.kubernetes.conftest import Application


def server_pods(application: Application) -> set[str]:
    """The names of the server pods that are not about to end."""
    pods = [each["metadata"] for each in get("pods", namespace=application.name)]
    return {
        each["name"] for each in pods if "plimsoll.dev/service" in each["labels"] and "deletionTimestamp" not in each
    }


class Asking:
    """Sends requests to the service at the application's gateway, from inside the cluster."""

    def __init__(self, namespace: Namespace, application: str) -> None:
        self._namespace = namespace
        gateways = get("gateway", namespace=application)
        self._url = f"http://{gateways[0]['status']['addresses'][0]['value']}/toy/v2/models/toy/infer"

    def _curl(self, count: int, form: str, *options: str) -> str:
        body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]})
        words = " ".join(f"'{option}'" for option in options)
        # A busy machine may keep a request waiting; one without an answer after that has failed.
        return f"curl -s -m 40 {words} -w '{form}\\n' -d '{body}' '{self._url}?[1-{count}]'"

    def versions(self, count: int, *options: str) -> Counter[str]:
        """Counts the model versions that answered. An error counts under its own text."""
        answered = self._namespace.execute("client", "sh", "-c", self._curl(count, "", *options), limit=120).stdout
        return Counter(_version(line) for line in answered.splitlines())

    @contextlib.contextmanager
    def meanwhile(self) -> Iterator[Counter[str]]:
        """Sends requests during the block, and counts the statuses at its end."""
        ask = self._curl(1, "%{http_code}").replace("curl -s", "curl -s -o /dev/null")
        loop = f"rm -f /tmp/stop; while [ ! -e /tmp/stop ]; do {ask}; sleep 0.05; done"
        seen: Counter[str] = Counter()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._namespace.execute, "client", "sh", "-c", loop, limit=500)
            try:
                yield seen
            finally:
                self._namespace.execute("client", "touch", "/tmp/stop")
                seen.update(running.result().stdout.split())


def _version(line: str) -> str:
    try:
        return str(json.loads(line)["model_version"])
    except (ValueError, KeyError):
        return line
