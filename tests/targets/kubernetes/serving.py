"""Models that are trained and registered on a bench, and a server that answers for every pod of a service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.serve import ModelShare, Serve
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes.manifests.groups import PORT
from plimsoll.targets.kubernetes.session import KubernetesSession
from tests.targets.kubernetes.bench import APPLICATION, Bench, done

TENSOR = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}


class Inference(BaseHTTPRequestHandler):
    """As much of the Open Inference Protocol as the proof of a service asks for."""

    def do_GET(self) -> None:
        self._answer({"inputs": [TENSOR], "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        output = self.server.output  # type: ignore[attr-defined]  # of Server
        tensor = {"name": output, "datatype": "FP32", "shape": [1], "data": [0.5]}
        # A language model is proven by another protocol, at another path.
        self._answer({"outputs": [tensor]} if self.path.startswith("/v2/") else {"choices": [{"index": 0}]})

    def _answer(self, found: dict[str, Any]) -> None:
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server on a free port. `output` is the name of the tensor that it answers with."""

    output = "y"


@contextmanager
def inference(
    bench: Bench, namespace: str = APPLICATION, answers: type[BaseHTTPRequestHandler] = Inference
) -> Iterator[Server]:
    """A server that every pod of the namespace leads to."""
    with Server(("127.0.0.1", 0), answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        bench.cluster.lead(namespace, "", PORT, server.server_port)
        yield server
        server.shutdown()


def trained(bench: Bench, session: KubernetesSession, content: str = "weights", accuracy: float = 0.9) -> AnyStep:
    """A training that has left a model with its accuracy."""
    metrics = json.dumps({"accuracy": accuracy})
    bench.does("train/triage", lambda pod: pod.leave(model_onnx=content, metrics_json=metrics))
    step = bench.training("triage")
    done(session, step)
    return step


def register_step(bench: Bench, training: AnyStep, accept: str = "> 0.5") -> AnyStep:
    """A step that registers what a training left."""
    work = Register(
        model="triage",
        train=training.name,
        train_key=training.key,
        command="python train.py",
        framework="none",
        accept={"accuracy": accept},
    )
    return bench.step("triage", work)


def registered(bench: Bench, session: KubernetesSession, content: str = "weights", **accept: str) -> AnyStep:
    """A step that has registered a model of its own."""
    step = register_step(bench, trained(bench, session, content), **accept)
    done(session, step)
    return step


def registration(session: KubernetesSession, step: AnyStep) -> RegisterResult:
    """What a step has registered."""
    result = session.result(step)
    assert isinstance(result, RegisterResult)
    return result


def serve_step(bench: Bench, register: AnyStep, service: str = "api", **settings: Any) -> AnyStep:
    """A service of the model that a step registers; a pinned version by `model`."""
    given = {"model": "triage", "register_key": register.key, **settings}
    return bench.step(service, Serve(service=service, **given))


def shares(**weights: int) -> tuple[ModelShare, ...]:
    """Shares by version, such as `v1=90`."""
    return tuple(ModelShare(model=f"triage@{name[1:]}", weight=weight) for name, weight in weights.items())
