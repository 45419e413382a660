"""A Prometheus that does not ask what workloads declare, and one that is none."""

from __future__ import annotations

import base64
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from lab import layout
from lab.cheats.operators import endpoints
from lab.cheats.scene import Scene
from lab.kubectl import get, kubectl, rolled_out, wait

_NAMESPACE, _SERVICE, _PORT = "monitoring", "prometheus-operated", 9090
_CONFIGURATION = f"/api/v1/namespaces/{_NAMESPACE}/pods/prometheus-lab-0:{_PORT}/proxy/api/v1/status/config"
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
    """What the scene's name says, and waits until Prometheus has taken it up."""
    {"collect-everything": _everything, "never-discovers": _nothing, "constant-series": _stub}[scene.name](scene)


def _everything(scene: Scene) -> None:
    found = get("secret", "annotated-pods", namespace=_NAMESPACE)["data"]["scrape.yaml"]
    text = base64.b64decode(found).decode() + _EVERYTHING
    data = {"scrape.yaml": base64.b64encode(text.encode()).decode()}
    scene.change("secret", "annotated-pods", {"data": data}, _NAMESPACE)
    wait(
        "Prometheus to collect everything",
        lambda: None if "job_name: everything" in _configuration() else "not yet",
        150,
    )


def _nothing(scene: Scene) -> None:
    nowhere = {"matchLabels": {"plimsoll.dev/nobody": "here"}}
    spec = {
        "serviceMonitorNamespaceSelector": nowhere,
        "podMonitorNamespaceSelector": nowhere,
        "additionalScrapeConfigs": None,
    }
    scene.change("prometheus", "lab", {"spec": spec}, _NAMESPACE)
    wait("Prometheus to forget", lambda: "not yet" if "annotated-pods" in _configuration() else None, 150)


def _stub(scene: Scene) -> None:
    scene.change("deployment", "prometheus-operator", {"spec": {"replicas": 0}}, _NAMESPACE)
    rolled_out(_NAMESPACE, "deployment/prometheus-operator")
    scene.change("service", _SERVICE, {"spec": {"selector": None}}, _NAMESPACE)
    # What the selector had found would stay.
    kubectl("delete", "endpointslices", f"-n{_NAMESPACE}", f"-lkubernetes.io/service-name={_SERVICE}")
    slice_of_ours = endpoints(_SERVICE, _NAMESPACE, _PORT, "web")
    slice_of_ours["metadata"]["name"] = f"{_SERVICE}-stub"
    scene.make(slice_of_ours)
    scene.run("prometheus", scene.name)


def off(scene: Scene) -> None:
    """Waits until Prometheus is as it was."""

    def missing() -> str | None:
        text = _configuration()
        return None if "annotated-pods" in text and "job_name: everything" not in text else "it has not read it yet"

    wait("Prometheus' configuration", missing, 150)


def _configuration() -> str:
    text: str = json.loads(kubectl("get", "--raw", _CONFIGURATION))["data"]["yaml"]
    return text


class _Ten(BaseHTTPRequestHandler):
    """Every question has one answer."""

    def do_GET(self) -> None:
        """One series with the name that is asked for."""
        name = parse_qs(urlsplit(self.path).query).get("query", ["up"])[0]
        labels = {"__name__": name, "who": "servicemonitor", "token": "ten"}
        result = [{"metric": labels, "value": [time.time(), "10"]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    assert sys.argv[1] == "constant-series"
    ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), _PORT), _Ten).serve_forever()
