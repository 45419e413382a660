"""The endpoint picker decides where requests go. Without it they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import nodes
from lab.addons.inference import picker
from lab.images.python import python_base
from lab.images.store import load_everywhere
from lab.kubectl import kubectl, wait_for_rollout
from tests.lab.addons.test_gangs import apply_all
from tests.lab.addons.test_gateway import gateway, route
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
POOL, PORT = "toy", 8000
SERVERS = ("busy", "free")
SERVER = Path(__file__).with_name("model_server.py")


def serve(namespace: Namespace) -> None:
    base = python_base()
    load_everywhere([base], nodes.all_nodes())
    command = ["python3", "-u", "-c", SERVER.read_text()]
    ready = {"httpGet": {"path": "/v1/models", "port": PORT}, "periodSeconds": 1}
    for name in SERVERS:
        container = {"image": base.names[0], "command": command, "readinessProbe": ready}
        namespace.pod(name, labels={"app": POOL}, container=container)
    namespace.pod("client")


def ask(namespace: Namespace, address: str, count: int, word: str) -> list[str]:
    """The pods that answer `count` requests; the status for a request without an answer."""
    found = []
    for _ in range(count):
        body = json.dumps({"model": "toy", "prompt": word, "max_tokens": 1})
        command = ("curl", "-s", "-m", "10", "-w", r"\n%{http_code}", "-H", "Content-Type: application/json")
        done = namespace.execute("client", *command, "-d", body, f"http://{address}/v1/completions")
        answer, _, status = done.stdout.rpartition("\n")
        if status == "200":
            text = json.loads(answer)["choices"][0]["text"]
            assert text.endswith(f" heard {word}")
            found.append(text.split()[0])
        else:
            found.append(status)
    return found


def queue(namespace: Namespace, pod: str, length: int) -> None:
    address = f"http://{namespace.address(pod)}:{PORT}/"
    done = namespace.execute("client", "curl", "-sS", "-f", "-m", "5", "-X", "PUT", "-d", str(length), address)
    assert done.returncode == 0, done.stderr


def test_requests_follow_the_shorter_queue_and_stop_without_the_picker(up: Up, namespace: Namespace) -> None:
    up("inference-extension")
    serve(namespace)
    queue(namespace, "busy", 3)
    apply_all(*picker(POOL, namespace.name, {"app": POOL}, PORT))
    address = gateway(namespace)
    backend = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": POOL}
    route(namespace, {"backendRefs": [backend]})
    wait_for_rollout(namespace.name, f"deployment/{POOL}-epp")
    until(lambda: ask(namespace, address, 5, "first") == ["free"] * 5, limit=60, what="the picker's choice")
    assert ask(namespace, address, 20, "again") == ["free"] * 20
    queue(namespace, "busy", 0)
    queue(namespace, "free", 3)
    until(lambda: ask(namespace, address, 5, "turned") == ["busy"] * 5, limit=30, what="the other choice")
    assert ask(namespace, address, 20, "on") == ["busy"] * 20
    kubectl("scale", f"deployment/{POOL}-epp", "--replicas=0", f"-n{namespace.name}")
    kubectl("delete", "pods", f"-linferencepool={POOL}-epp", f"-n{namespace.name}", "--grace-period=0", "--force")
    until(lambda: set(ask(namespace, address, 2, "nobody")) <= {"500", "503"}, limit=30, what="the refusal")
