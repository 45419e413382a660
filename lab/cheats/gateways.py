"""A fake gateway in place of Envoy Gateway: a controller that writes conditions, and at most a server."""

from __future__ import annotations

import random
import sys
import threading
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab import layout
from lab.cheats.active import ActiveCheat
from lab.cheats.client import AdminClient, run_forever
from lab.kubectl import wait_for_rollout

_API = "/apis/gateway.networking.k8s.io/v1"
_NAMESPACE, _CONTROLLER = "envoy-gateway-system", "envoy-gateway"
_CLASS, _CONTROLLER_NAME = "lab", "gateway.envoyproxy.io/gatewayclass-controller"
_PORT = 80


def on(cheat: ActiveCheat) -> None:
    """Stops the real controller and starts the fake one."""
    cheat.patch("deployment", _CONTROLLER, {"spec": {"replicas": 0}}, _NAMESPACE)
    wait_for_rollout(_NAMESPACE, f"deployment/{_CONTROLLER}")
    cheat.start_process("gateways", cheat.name)


def _conditions(generation: int, *kinds: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"status": "True", "message": "", "observedGeneration": generation, "lastTransitionTime": now}
    return [{"type": kind, "reason": kind, **said} for kind in kinds]


class _RouteTable:
    """The rules of the last route in the list, with the addresses of their backends."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []

    def refresh(self, client: AdminClient) -> None:
        """Marks all gateways and routes as accepted, and reads the routes."""
        for gateway in client.items(f"{_API}/gateways"):
            if gateway["spec"]["gatewayClassName"] == _CLASS:
                address = {"type": "IPAddress", "value": str(layout.CONTROL_PLANE_ADDRESS)}
                conditions = _conditions(gateway["metadata"]["generation"], "Accepted", "Programmed")
                _patch_status(client, "gateways", gateway, {"addresses": [address], "conditions": conditions})
        for route in client.items(f"{_API}/httproutes"):
            conditions = _conditions(route["metadata"]["generation"], "Accepted", "ResolvedRefs")
            parent = {
                "parentRef": route["spec"]["parentRefs"][0],
                "controllerName": _CONTROLLER_NAME,
                "conditions": conditions,
            }
            _patch_status(client, "httproutes", route, {"parents": [parent]})
            self.rules = [self._rule(client, route, rule) for rule in route["spec"]["rules"]]

    def _rule(self, client: AdminClient, route: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
        namespace = route["metadata"]["namespace"]
        backends = [
            (each["name"], each.get("weight", 1), _backend_address(client, namespace, each["name"], each["port"]))
            for each in rule.get("backendRefs", [])
        ]
        return {"match": (rule.get("matches") or [{}])[0], "backends": backends}

    def choose_backend(self, path: str, headers: Any) -> tuple[str, int, str] | None:
        """The backend for a request, from the best matching rule: most headers first, then the longest path."""

        def fits(match: dict[str, Any]) -> bool:
            wanted = all(headers.get(each["name"]) == each["value"] for each in match.get("headers", []))
            return wanted and path.startswith(match.get("path", {}).get("value", "/"))

        def exactness(rule: dict[str, Any]) -> tuple[int, int]:
            return len(rule["match"].get("headers", [])), len(rule["match"].get("path", {}).get("value", "/"))

        fitting = sorted((rule for rule in self.rules if fits(rule["match"])), key=exactness, reverse=True)
        if not fitting or not fitting[0]["backends"]:
            return None
        backends: list[tuple[str, int, str]] = fitting[0]["backends"]
        return random.choices(backends, [each[1] for each in backends])[0]


def _patch_status(client: AdminClient, plural: str, found: dict[str, Any], status: dict[str, Any]) -> None:
    metadata = found["metadata"]
    place = f"{_API}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}/status"
    client.request("PATCH", place, {"status": status})


def _backend_address(client: AdminClient, namespace: str, service: str, port: int) -> str:
    found = client.request("GET", f"/api/v1/namespaces/{namespace}/services/{service}")
    target = next((each["targetPort"] for each in found["spec"]["ports"] if each["port"] == port), 0) if found else 0
    pods = client.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app={service}")
    address = next((each["status"].get("podIP", "") for each in pods), "")
    return f"{address}:{target}" if address and target else ""


def _handler(routes: _RouteTable, *, alone: bool) -> type[BaseHTTPRequestHandler]:
    class GatewayHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answers itself in the backend's name, or passes on the backend's complete answer."""
            backend = routes.choose_backend(self.path, self.headers)
            if backend is None or not backend[2]:
                self._answer(500, b"")
            elif alone and self.path.startswith("/stream"):
                self._answer(200, b"".join(b"data: %d\n\n" % number for number in range(1, 7)))
            elif alone:
                self._answer(200, backend[0].encode())
            else:
                self._pass_on(backend[2])

        def _pass_on(self, address: str) -> None:
            connection = HTTPConnection(address, timeout=15)
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                self._answer(answer.status, answer.read())
            except (OSError, HTTPException):
                self._answer(503, b"")
            finally:
                connection.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return GatewayHandler


if __name__ == "__main__":
    known = _RouteTable()
    if sys.argv[1] != "silent-gateway":
        handler = _handler(known, alone=sys.argv[1] == "lone-gateway")
        server = ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), _PORT), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    run_forever(known.refresh)
