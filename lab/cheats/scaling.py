"""Cheats with pod autoscaling: another process sets the replicas, or the metrics are invented."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lab.cheats.client import Client, again_and_again
from lab.cheats.operators import endpoints, serve_tls
from lab.cheats.scene import Scene
from lab.control_plane import identities
from lab.kubectl import get, kubectl, rolled_out, wait

_NAMESPACE, _ADAPTER = "monitoring", "prometheus-adapter"
_SERVICE, _PORT = "constant-metrics", 9444
_GROUP = "custom.metrics.k8s.io"
_PLURAL = "horizontalpodautoscalers"
_AUTOSCALERS = f"/apis/autoscaling/v2/{_PLURAL}"


def on(scene: Scene) -> None:
    """Switch the cheat on."""
    if scene.name == "constant-metrics":
        port = {"port": 443, "targetPort": _PORT, "protocol": "TCP"}
        place = {"name": _SERVICE, "namespace": _NAMESPACE}
        scene.make(
            {"apiVersion": "v1", "kind": "Service", "metadata": dict(place), "spec": {"ports": [port]}},
            endpoints(_SERVICE, _NAMESPACE, _PORT, ""),
        )
        scene.run("scaling", scene.name)
        for each in get("apiservices"):
            if each["spec"].get("group") == _GROUP:
                scene.change("apiservice", each["metadata"]["name"], {"spec": {"service": place}})
        path = f"/apis/{_GROUP}/v1beta2/namespaces/kube-system/pods/*/anything"
        wait("the constant metrics", lambda: None if '"10"' in kubectl("get", "--raw", path) else "not yet", 60)
        return
    if scene.name == "hand-scaler":
        scene.change("deployment", _ADAPTER, {"spec": {"replicas": 0}}, _NAMESPACE)
        rolled_out(_NAMESPACE, f"deployment/{_ADAPTER}")
    scene.run("scaling", scene.name)


def off(scene: Scene) -> None:
    """Wait until the real metrics are served again."""

    def missing() -> str | None:
        kubectl("get", "--raw", f"/apis/{_GROUP}/v1beta2")
        return None

    wait("the custom metrics", missing, 90)


def _by_clock(client: Client) -> None:
    """Set two replicas of every autoscaled deployment for twenty seconds, then one for twenty seconds."""
    _set(client, 2 if time.time() % 40 < 20 else 1)


_first_seen: dict[str, float] = {}


def _by_hand(client: Client) -> None:
    """Follow the known course of the test, and report guessed metric values."""
    for each in client.items(f"{_AUTOSCALERS}?labelSelector=plimsoll.dev/check"):
        metadata = each["metadata"]
        age = time.monotonic() - _first_seen.setdefault(metadata["uid"], time.monotonic())
        value = 1 if age < 30 else 4711
        metric = each["spec"]["metrics"][0]["pods"]["metric"]
        current = [{"type": "Pods", "pods": {"metric": metric, "current": {"averageValue": str(value)}}}]
        place = f"/apis/autoscaling/v2/namespaces/{metadata['namespace']}/{_PLURAL}/{metadata['name']}/status"
        client.ask("PATCH", place, {"status": {"currentMetrics": current}})
        if metadata["name"] == "scaled":
            _set(client, 1 if age < 32 or age > 60 else 2, only="scaled")


def _set(client: Client, replicas: int, only: str = "") -> None:
    for each in client.items(f"{_AUTOSCALERS}?labelSelector=plimsoll.dev/check"):
        target = each["spec"]["scaleTargetRef"]["name"]
        if not only or target == only:
            place = f"/apis/apps/v1/namespaces/{each['metadata']['namespace']}/deployments/{target}/scale"
            client.ask("PATCH", place, {"spec": {"replicas": replicas}})


class _ConstantMetrics(BaseHTTPRequestHandler):
    """Serves custom metrics that are always ten."""

    def do_GET(self) -> None:
        """Answer with the API group, the list of metrics, or the values of the selected pods."""
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
            found = Client().items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector.replace('=', '%3D')}")
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
        again_and_again({"clock-scaler": _by_clock, "hand-scaler": _by_hand}[sys.argv[1]])
