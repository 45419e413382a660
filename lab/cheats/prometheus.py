"""Cheats with service metrics: a Prometheus that ignores what workloads declare, or a stub in its place."""

from __future__ import annotations

import base64
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from lab import layout
from lab.cheats.client import Client
from lab.cheats.operators import take_over
from lab.cheats.scene import Scene
from lab.kubectl import get, kubectl, rolled_out, wait

_NAMESPACE, _SERVICE, _PORT = "monitoring", "prometheus-operated", 9090
_REAL_API = f"/api/v1/namespaces/{_NAMESPACE}/pods/prometheus-lab-0:{_PORT}/proxy/api/v1"
_CONFIGURATION = f"{_REAL_API}/status/config"
_EVERYTHING = """\
- job_name: everything
  metrics_path: /tmp/metrics.txt
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_label_plimsoll_dev_check], action: keep, regex: .+}
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
"""


def on(scene: Scene) -> None:
    """Switch the cheat on, and wait until Prometheus has read a changed configuration."""
    {"collect-everything": _collect_everything, "never-discovers": _collect_nothing}.get(scene.name, _stub)(scene)


def _collect_everything(scene: Scene) -> None:
    found = get("secret", "annotated-pods", namespace=_NAMESPACE)["data"]["scrape.yaml"]
    text = base64.b64decode(found).decode() + _EVERYTHING
    data = {"scrape.yaml": base64.b64encode(text.encode()).decode()}
    scene.change("secret", "annotated-pods", {"data": data}, _NAMESPACE)
    wait(
        "Prometheus to collect everything",
        lambda: None if "job_name: everything" in _configuration() else "not yet",
        150,
    )


def _collect_nothing(scene: Scene) -> None:
    nowhere = {"matchLabels": {"plimsoll.dev/nobody": "here"}}
    spec = {
        "serviceMonitorNamespaceSelector": nowhere,
        "podMonitorNamespaceSelector": nowhere,
        "additionalScrapeConfigs": None,
    }
    scene.change("prometheus", "lab", {"spec": spec}, _NAMESPACE)
    wait(
        "Prometheus to drop its configuration", lambda: "not yet" if "annotated-pods" in _configuration() else None, 150
    )


def _stub(scene: Scene) -> None:
    scene.change("deployment", "prometheus-operator", {"spec": {"replicas": 0}}, _NAMESPACE)
    rolled_out(_NAMESPACE, "deployment/prometheus-operator")
    take_over(scene, _SERVICE, _NAMESPACE, _PORT, "web")
    scene.run("prometheus", scene.name)


def off(scene: Scene) -> None:
    """Wait until Prometheus has its own configuration again."""

    def missing() -> str | None:
        text = _configuration()
        return (
            None
            if "annotated-pods" in text and "job_name: everything" not in text
            else "Prometheus has not read it yet"
        )

    wait("Prometheus' configuration", missing, 150)


def _configuration() -> str:
    text: str = json.loads(kubectl("get", "--raw", _CONFIGURATION))["data"]["yaml"]
    return text


def _ten(name: str) -> list[dict[str, Any]]:
    return [{"metric": {"__name__": name, "who": "servicemonitor", "token": "ten"}, "value": [time.time(), "10"]}]


_REMEMBERED: dict[str, dict[str, Any]] = {}


def _first(name: str) -> list[dict[str, Any]]:
    """The first value of each series that the real Prometheus returned."""
    answer = Client().ask("GET", f"{_REAL_API}/query?query={quote(name)}") or {}
    for each in answer.get("data", {}).get("result", []):
        _REMEMBERED.setdefault(json.dumps(each["metric"], sort_keys=True), each)
    return [each for each in _REMEMBERED.values() if each["metric"]["__name__"] == name]


class _Stub(BaseHTTPRequestHandler):
    """Answers queries in Prometheus' place."""

    def do_GET(self) -> None:
        """Answer with the series of the queried name."""
        name = parse_qs(urlsplit(self.path).query).get("query", ["up"])[0]
        result = _ANSWERS[sys.argv[1]](name)
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_ANSWERS = {"constant-series": _ten, "remembered-series": _first}

if __name__ == "__main__":
    ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), _PORT), _Stub).serve_forever()
