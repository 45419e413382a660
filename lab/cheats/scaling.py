"""Replicas that do not follow metrics, and metrics that nothing has measured."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lab.cheats.active import ActiveCheat
from lab.cheats.client import AdminClient, run_forever
from lab.cheats.operators import endpoint_slice, serve_tls
from lab.control_plane import identities
from lab.kubectl import get, kubectl, wait, wait_for_rollout

_NAMESPACE, _ADAPTER = "monitoring", "prometheus-adapter"
_SERVICE, _PORT = "constant-metrics", 9444
_GROUP = "custom.metrics.k8s.io"
_PLURAL = "horizontalpodautoscalers"
_AUTOSCALERS = f"/apis/autoscaling/v2/{_PLURAL}"


def on(cheat: ActiveCheat) -> None:
    """Makes the changes of the cheat."""
    if cheat.name == "constant-metrics":
        port = {"port": 443, "targetPort": _PORT, "protocol": "TCP"}
        place = {"name": _SERVICE, "namespace": _NAMESPACE}
        cheat.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": dict(place), "spec": {"ports": [port]}},
            endpoint_slice(_SERVICE, _NAMESPACE, _PORT, ""),
        )
        cheat.start_process("scaling", cheat.name)
        for each in get("apiservices"):
            if each["spec"].get("group") == _GROUP:
                cheat.patch("apiservice", each["metadata"]["name"], {"spec": {"service": place}})
        path = f"/apis/{_GROUP}/v1beta2/namespaces/kube-system/pods/*/anything"
        wait("the constant metrics", lambda: None if '"10"' in kubectl("get", "--raw", path) else "not yet", 60)
        return
    if cheat.name == "hand-scaler":
        cheat.patch("deployment", _ADAPTER, {"spec": {"replicas": 0}}, _NAMESPACE)
        wait_for_rollout(_NAMESPACE, f"deployment/{_ADAPTER}")
    cheat.start_process("scaling", cheat.name)


def off(cheat: ActiveCheat) -> None:
    """Waits until the real metrics are served."""

    def missing() -> str | None:
        kubectl("get", "--raw", f"/apis/{_GROUP}/v1beta2")
        return None

    wait("the custom metrics", missing, 90)


def _scale_by_clock(client: AdminClient) -> None:
    """Sets every autoscaled workload to two replicas for 20 of every 40 seconds, else to one."""
    _set_replicas(client, 2 if time.time() % 40 < 20 else 1)


_first_seen: dict[str, float] = {}


def _scale_by_script(client: AdminClient) -> None:
    """Replays the expected course of the test: sets replicas, and guesses the metric values."""
    for each in client.items(f"{_AUTOSCALERS}?labelSelector=plimsoll.dev/check"):
        metadata = each["metadata"]
        age = time.monotonic() - _first_seen.setdefault(metadata["uid"], time.monotonic())
        value = 1 if age < 30 else 4711
        metric = each["spec"]["metrics"][0]["pods"]["metric"]
        current = [{"type": "Pods", "pods": {"metric": metric, "current": {"averageValue": str(value)}}}]
        place = f"/apis/autoscaling/v2/namespaces/{metadata['namespace']}/{_PLURAL}/{metadata['name']}/status"
        client.request("PATCH", place, {"status": {"currentMetrics": current}})
        if metadata["name"] == "scaled":
            _set_replicas(client, 1 if age < 32 or age > 60 else 2, only="scaled")


def _set_replicas(client: AdminClient, replicas: int, only: str = "") -> None:
    for each in client.items(f"{_AUTOSCALERS}?labelSelector=plimsoll.dev/check"):
        target = each["spec"]["scaleTargetRef"]["name"]
        if not only or target == only:
            place = f"/apis/apps/v1/namespaces/{each['metadata']['namespace']}/deployments/{target}/scale"
            client.request("PATCH", place, {"spec": {"replicas": replicas}})


class _ConstantMetrics(BaseHTTPRequestHandler):
    """A server of custom metrics whose values are always ten."""

    def do_GET(self) -> None:
        """Answers with the list of metrics, or with the values of some pods."""
        parts = urlsplit(self.path)
        words = parts.path.strip("/").split("/")
        body: dict[str, Any]
        if len(words) == 3:
            served = {"name": "pods/anything", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
            version = "/".join(words[1:])
            body = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [served]}
        elif len(words) >= 8:
            namespace, metric = words[4], words[7]
            selector = parse_qs(parts.query).get("labelSelector", [""])[0]
            found = AdminClient().items(
                f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector.replace('=', '%3D')}"
            )
            body = {
                "kind": "MetricValueList",
                "apiVersion": "/".join(words[1:3]),
                "metadata": {},
                "items": [_value(each, metric, words[2]) for each in found],
            }
        else:
            body = {"kind": "APIGroup", "apiVersion": "v1", "name": _GROUP, "versions": []}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _value(pod: dict[str, Any], metric: str, version: str) -> dict[str, Any]:
    named = {"metricName": metric} if version == "v1beta1" else {"metric": {"name": metric}}
    described = {"kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"]}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"describedObject": {**described, "apiVersion": "/v1"}, "timestamp": now, "value": "10", **named}


if __name__ == "__main__":
    if sys.argv[1] == "constant-metrics":
        host = f"{_SERVICE}.{_NAMESPACE}.svc"
        own = identities.load().cluster.issue(_SERVICE, host, hosts=(host,))
        serve_tls(_ConstantMetrics, _PORT, own.certificate, own.key)
    else:
        run_forever({"clock-scaler": _scale_by_clock, "hand-scaler": _scale_by_script}[sys.argv[1]])
