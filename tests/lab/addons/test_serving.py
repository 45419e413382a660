"""KServe turns a custom model server into a service that answers inside the cluster and through the gateway."""

from __future__ import annotations

import json

import pytest

from lab import nodes
from lab.addons import serving
from lab.errors import LabError
from lab.images.names import AGNHOST
from lab.images.python import python_base
from lab.images.store import load_everywhere
from lab.kubectl import get, kubectl
from tests.lab.cluster import Manifest, Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
# KServe's protocol, version 1.
DOUBLER = """
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
class Model(BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
    def do_GET(self):
        self.answer({"name": "double", "ready": True})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"predictions": [2 * each for each in asked["instances"]]})
HTTPServer(("", 8080), Model).serve_forever()
"""


def service(name: str, container: Manifest, **predictor: object) -> Manifest:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "predictor": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "kserve-container", **container}],
                **predictor,
            }
        },
    }


def serve(namespace: Namespace) -> Manifest:
    """Creates the doubling model, waits until it is Ready, and returns its status."""
    base = python_base()
    load_everywhere([base], nodes.all_nodes())
    container = {
        "image": base.names[0],
        "command": ["python3", "-c", DOUBLER],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/v1/models/double", "port": 8080}, "periodSeconds": 1},
    }
    namespace.create(service("double", container))
    namespace.pod("client")

    def ready() -> Manifest | None:
        status: Manifest = namespace.get("inferenceservice", "double").get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return status if conditions.get("Ready") == "True" else None

    found: Manifest = until(ready, limit=90, what="a Ready service")
    return found


def predict(namespace: Namespace, address: str, *options: str) -> str:
    body = json.dumps({"instances": [1, 2, 21]})
    command = ("curl", "-sS", "-m", "10", "-w", " %{http_code}", "-d", body, *options)
    return namespace.execute("client", *command, f"http://{address}/v1/models/double:predict").stdout


ANSWER = '{"predictions": [2, 4, 42]} 200'


def test_a_service_with_a_server_of_ones_own_becomes_ready_and_answers(up: Up, namespace: Namespace) -> None:
    up("kserve")
    serve(namespace)
    (deployment,) = namespace.get("deployments")
    assert deployment["metadata"]["name"] == "double-predictor"
    assert predict(namespace, f"double-predictor.{namespace.name}.svc") == ANSWER


def test_with_the_gateway_a_service_answers_under_its_own_host_and_no_other(up: Up, namespace: Namespace) -> None:
    up("kserve", "gateway")
    host = serve(namespace)["url"].removeprefix("http://")
    assert host == f"double-{namespace.name}.{serving.DOMAIN}"
    address = get("gateway", "kserve-ingress-gateway", namespace="kserve")["status"]["addresses"][0]["value"]
    until(lambda: predict(namespace, address, "-H", f"Host: {host}") == ANSWER, limit=30, what="the answer")
    assert predict(namespace, address, "-H", f"Host: other.{serving.DOMAIN}").endswith(" 404")


def test_the_webhook_of_kserve_refuses_a_nonsense_and_takes_its_near_twin(up: Up, namespace: Namespace) -> None:
    up("kserve")
    pause = {"image": AGNHOST, "args": ["pause"]}
    with pytest.raises(LabError, match=r"inferenceservice.kserve-webhook-server.validator.* denied the request"):
        namespace.create(service("twin", pause, minReplicas=2, maxReplicas=1))
    namespace.create(service("twin", pause, minReplicas=1, maxReplicas=2))
    kubectl("delete", "inferenceservice", "twin", f"-n{namespace.name}")
