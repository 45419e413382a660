"""A page with false metrics of accelerators, in place of the driver's page."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

from lab import nodes
from lab.cheats.active import ActiveCheat
from lab.cheats.client import AdminClient
from lab.images.names import AGNHOST
from lab.kubectl import get, kubectl, wait

_NAMESPACE, _PORT, _TRUE_PORT = "cheat-pages", 9401, 9400
_DRIVER = "app=accelerator-driver"
_STALE_SECONDS = 900.0
_MIB = 1 << 20
_LINE = re.compile(r'^(\w+)\{uuid="([^"]+)"(.*)\} (\S+)$')


def on(cheat: ActiveCheat) -> None:
    """Blocks the driver's page for pods, and serves a false page on every accelerated node."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": _NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "no-page", "namespace": "accelerators"},
        "spec": {"podSelector": {"matchLabels": {"app": "accelerator-driver"}}, "policyTypes": ["Ingress"]},
    }
    cheat.create(namespace, policy)
    for node in nodes.all_nodes():
        if node.group == "accelerated":
            cheat.start_process("pages", cheat.name, node.name, node=node.name)
            cheat.create(_pod(node.name))
            kubectl("wait", "--for=condition=Ready", f"pod/{node.name}", f"-n{_NAMESPACE}", "--timeout=60s", limit=70)


def off(cheat: ActiveCheat) -> None:
    """Waits until the driver's pods are Ready, so that their pages are available again."""

    def ready() -> str | None:
        pods = get("pods", namespace="accelerators")
        late = [
            pod["metadata"]["name"]
            for pod in pods
            if not any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", [])
            )
        ]
        return f"{late[0]} is not Ready" if late else None

    wait("the drivers", ready, 60)


def _pod(node: str) -> dict[str, object]:
    """A pod in the node's network, so that the server on the node is reachable as the pod."""
    probe = {"httpGet": {"path": "/metrics", "port": _PORT}, "periodSeconds": 1}
    container = {
        "name": "page",
        "image": AGNHOST,
        "ports": [{"name": "metrics", "containerPort": _PORT}],
        "readinessProbe": probe,
    }
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": str(_PORT)}
    spec = {"nodeName": node, "hostNetwork": True, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    metadata = {"name": node, "namespace": _NAMESPACE, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _driver_page(node: str) -> str:
    """The driver's real page, which the node itself may still read."""
    for pod in AdminClient().items(f"/api/v1/namespaces/accelerators/pods?labelSelector={_DRIVER}"):
        if pod["spec"].get("nodeName") == node:
            with urlopen(f"http://{pod['status']['podIP']}:{_TRUE_PORT}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
    return ""


def _wrong_device(text: str) -> str:
    names = list(dict.fromkeys(match[2] for line in text.splitlines() if (match := _LINE.match(line))))
    other = dict(zip(names, [*names[1:], *names[:1]], strict=True))
    return re.sub(r'uuid="([^"]+)"', lambda found: f'uuid="{other[found[1]]}"', text)


def _everywhere(text: str) -> str:
    highest: dict[str, float] = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            highest[match[1]] = max(highest.get(match[1], 0), float(match[4]))
    return "\n".join(
        f'{match[1]}{{uuid="{match[2]}"{match[3]}}} {highest[match[1]]}' if (match := _LINE.match(line)) else line
        for line in text.splitlines()
    )


def _noisy(text: str) -> str:
    return "\n".join(
        f'{match[1]}{{uuid="{match[2]}"{match[3]}}} {float(match[4]) + random.uniform(0, 0.05)}'
        if (match := _LINE.match(line)) and "utilization" in line
        else line
        for line in text.splitlines()
    )


def _random(text: str) -> str:
    return "\n".join(
        f'{match[1]}{{uuid="{match[2]}"{match[3]}}} {random.random()}'
        if (match := _LINE.match(line)) and "utilization" in line
        else line
        for line in text.splitlines()
    )


def _change_memory(text: str, change: Callable[[str, float], float]) -> str:
    """The page with every figure of used memory changed by `change(uuid, bytes)`; utilization stays true."""
    return "\n".join(
        f'{match[1]}{{uuid="{match[2]}"{match[3]}}} {change(match[2], float(match[4]))}'
        if (match := _LINE.match(line)) and _is_used_memory(match[1])
        else line
        for line in text.splitlines()
    )


def _constant_memory(text: str) -> str:
    return _change_memory(text, lambda _uuid, _bytes: float(8 * _MIB))


def _random_memory(text: str) -> str:
    return _change_memory(text, lambda _uuid, _bytes: random.randrange(0, 64 * _MIB))


def _memory_by_utilization(text: str) -> str:
    use = {match[2]: float(match[4]) for line in text.splitlines() if (match := _LINE.match(line)) and "util" in line}
    return _change_memory(text, lambda uuid, _bytes: int(use.get(uuid, 0.0) * 32 * _MIB))


def _memory_everywhere(text: str) -> str:
    used = [float(match[4]) for line in text.splitlines() if (match := _LINE.match(line)) and _is_used_memory(match[1])]
    return _change_memory(text, lambda _uuid, _bytes: max(used, default=0.0))


def _is_used_memory(name: str) -> bool:
    return "memory" in name and "total" not in name and "capacity" not in name


class _FakePage:
    """The page that a cheat serves."""

    def __init__(self, cheat: str, node: str) -> None:
        self._cheat = cheat
        self._node = node
        self._kept, self._at = _driver_page(node), time.monotonic()

    def text(self) -> str:
        if self._cheat == "static-page":
            return self._kept
        if self._cheat == "stale-page":
            if time.monotonic() - self._at > _STALE_SECONDS:
                self._kept, self._at = _driver_page(self._node), time.monotonic()
            return _noisy(self._kept)
        return _CHANGES[self._cheat](_driver_page(self._node))


_CHANGES = {
    "wrong-device-page": _wrong_device,
    "everywhere-page": _everywhere,
    "random-page": _random,
    "constant-memory": _constant_memory,
    "random-memory": _random_memory,
    "memory-by-utilization": _memory_by_utilization,
    "memory-everywhere": _memory_everywhere,
}


def _serve(cheat: str, node: str) -> None:
    pages = _FakePage(cheat, node)

    class PageHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Serves the page."""
            body = pages.text().encode() + b"\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("", _PORT), PageHandler).serve_forever()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
