"""A Prometheus that ignores what workloads declare, and a stub in place of Prometheus."""

from __future__ import annotations

import base64
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from lab import layout
from lab.cheats.active import ActiveCheat
from lab.cheats.client import AdminClient
from lab.cheats.operators import redirect_service
from lab.kubectl import get, kubectl, wait, wait_for_rollout

_NAMESPACE, _SERVICE, _PORT = "monitoring", "prometheus-operated", 9090
_REAL = f"/api/v1/namespaces/{_NAMESPACE}/pods/prometheus-lab-0:{_PORT}/proxy/api/v1"
_CONFIGURATION = f"{_REAL}/status/config"
_EVERYTHING = """\
- job_name: everything
  metrics_path: /tmp/metrics.txt
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_label_plimsoll_dev_check], action: keep, regex: .+}
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
"""


def on(cheat: ActiveCheat) -> None:
    """Makes the changes of the cheat, and waits until Prometheus has loaded a changed configuration."""
    {"collect-everything": _scrape_everything, "never-discovers": _scrape_nothing}.get(cheat.name, _replace_with_stub)(
        cheat
    )


def _scrape_everything(cheat: ActiveCheat) -> None:
    found = get("secret", "annotated-pods", namespace=_NAMESPACE)["data"]["scrape.yaml"]
    text = base64.b64decode(found).decode() + _EVERYTHING
    data = {"scrape.yaml": base64.b64encode(text.encode()).decode()}
    cheat.patch("secret", "annotated-pods", {"data": data}, _NAMESPACE)
    wait(
        "Prometheus to collect everything",
        lambda: None if "job_name: everything" in _configuration() else "not yet",
        150,
    )


def _scrape_nothing(cheat: ActiveCheat) -> None:
    nowhere = {"matchLabels": {"plimsoll.dev/nobody": "here"}}
    spec = {
        "serviceMonitorNamespaceSelector": nowhere,
        "podMonitorNamespaceSelector": nowhere,
        "additionalScrapeConfigs": None,
    }
    cheat.patch("prometheus", "lab", {"spec": spec}, _NAMESPACE)
    wait("Prometheus to drop its targets", lambda: "not yet" if "annotated-pods" in _configuration() else None, 150)


def _replace_with_stub(cheat: ActiveCheat) -> None:
    cheat.patch("deployment", "prometheus-operator", {"spec": {"replicas": 0}}, _NAMESPACE)
    wait_for_rollout(_NAMESPACE, "deployment/prometheus-operator")
    redirect_service(cheat, _SERVICE, _NAMESPACE, _PORT, "web")
    cheat.start_process("prometheus", cheat.name)


def off(cheat: ActiveCheat) -> None:
    """Waits until Prometheus has its original configuration."""

    def missing() -> str | None:
        text = _configuration()
        return (
            None
            if "annotated-pods" in text and "job_name: everything" not in text
            else "Prometheus has not loaded it yet"
        )

    wait("Prometheus' configuration", missing, 150)


def _configuration() -> str:
    text: str = json.loads(kubectl("get", "--raw", _CONFIGURATION))["data"]["yaml"]
    return text


def _constant_series(name: str) -> list[dict[str, Any]]:
    return [{"metric": {"__name__": name, "who": "servicemonitor", "token": "ten"}, "value": [time.time(), "10"]}]


_REMEMBERED: dict[str, dict[str, Any]] = {}


def _first_answers(name: str) -> list[dict[str, Any]]:
    """The first answer of the real Prometheus for each series."""
    answer = AdminClient().request("GET", f"{_REAL}/query?query={quote(name)}") or {}
    for each in answer.get("data", {}).get("result", []):
        _REMEMBERED.setdefault(json.dumps(each["metric"], sort_keys=True), each)
    return [each for each in _REMEMBERED.values() if each["metric"]["__name__"] == name]


class _PrometheusStub(BaseHTTPRequestHandler):
    """A stub of Prometheus' query API."""

    def do_GET(self) -> None:
        """Answers with series of the requested name."""
        name = parse_qs(urlsplit(self.path).query).get("query", ["up"])[0]
        result = _ANSWERS[sys.argv[1]](name)
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_ANSWERS = {"constant-series": _constant_series, "remembered-series": _first_answers}

if __name__ == "__main__":
    ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), _PORT), _PrometheusStub).serve_forever()
