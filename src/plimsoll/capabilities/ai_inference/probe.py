"""Traffic through a gateway that is made for it."""

from __future__ import annotations

import secrets
from typing import Any

from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.gateways import API, opened
from plimsoll.capabilities.monitoring import printed
from plimsoll.capabilities.probe_namespace import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

REQUESTS = 400
_ROUTE_LIMIT = 60.0
_TRAFFIC_LIMIT = 180.0
_TURN_LIMIT = 30.0
_HEADER = "x-plimsoll-model"


def obstacle(facts: Facts) -> Verdict | None:
    """Without an accepted GatewayClass there is nothing to send traffic through."""
    if any(each["accepted"] for each in facts.gateway_classes):
        return None
    if "gateway-class" in facts.unreadable:
        return unknown("gateway classes may not be listed", "grant list on gatewayclasses")
    remedy = "install a Gateway API implementation (such as Envoy Gateway) and its GatewayClass"
    if not facts.serves("gateway.networking.k8s.io"):
        return failed("", "the Gateway API is not served", remedy)
    return failed("", "no GatewayClass is accepted by its controller", remedy)


def observe(stage: Stage, facts: Facts) -> None:
    """Tries the classes in order of name until one has a working gateway."""
    stage.open()
    one, two = (f"backend-{secrets.token_hex(4)}" for _ in range(2))
    for name in (one, two):
        _backend(stage, name)
    ready = stage.wait("two backends", lambda: all(_ready(stage, name) for name in (one, two)), 120)
    classes = [each for each in facts.gateway_classes if each["accepted"]]
    stage.note("backends", names=[one, two], ready=bool(ready), classes=[each["name"] for each in classes])
    for each in classes if ready else []:
        address = opened(stage, each["name"])
        if address:
            stage.note("gateway", name=each["name"], controller=each["controller"], address=address)
            _traffic(stage, address, one, two)
            return


def _backend(stage: Stage, name: str) -> None:
    """Says its name on one port, and on another answers in pieces, one every half second."""
    script = (
        f"printf '%s' '{_STREAM}' > /tmp/stream; "
        "(while :; do rm -f /tmp/pipe; mkfifo /tmp/pipe; "
        f"nc -l -p {_STREAM_PORT} < /tmp/pipe | sh /tmp/stream > /tmp/pipe; done) & "
        "exec /agnhost netexec --http-port=8080 --udp-port=-1"
    )
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    stage.pod(name, script, container={"readinessProbe": probe})
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "stream", "port": 81, "targetPort": _STREAM_PORT},
    ]
    spec = {"selector": {"app": name}, "ports": ports}
    stage.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def _ready(stage: Stage, name: str) -> bool:
    return has_condition(stage.get("v1", "Pod", name), "Ready")


def _traffic(stage: Stage, address: str, one: str, two: str) -> None:
    gateway = stage.list(API, "Gateway")[0]["metadata"]["name"]
    weight = 60 + secrets.randbelow(31)
    for number, share in enumerate((weight, 100 - weight), start=1):
        _route(stage, gateway, _by_header(two), _by_path(one), _split(one, share, two, 100 - share))
        if not _settled(stage, address, number, one, share):
            stage.note("measured", case=f"weights-{number}", backend=one, weight=share, answers={}, arrived={})
            return
        _measure(stage, address, f"weights-{number}", (one, two), REQUESTS, backend=one, weight=share)
    _measure(stage, address, "header", (one, two), 50, f"-H '{_HEADER}: two'", backend=two, weight=100)
    _stream(stage, address, one)
    _route(stage, gateway, {"backendRefs": [{"name": "plimsoll-nobody", "port": 80}]})
    stage.wait("a route to nowhere", lambda: _one(stage, address).isdigit(), _ROUTE_LIMIT)
    _measure(stage, address, "nowhere", (one, two), 20, backend="", weight=0)


def _measure(
    stage: Stage, address: str, case: str, backends: tuple[str, str], count: int, options: str = "", **more: Any
) -> None:
    before = {name: _asked(stage, name) for name in backends}
    answers = _ask(stage, address, case, count, options)
    arrived = {name: _asked(stage, name) - before[name] for name in backends}
    stage.note("measured", case=case, answers=answers, arrived=arrived, **more)


def _asked(stage: Stage, backend: str) -> int:
    """How many requests a backend itself says that it has had."""
    return stage.log(backend).count("GET /hostname")


def _stream(stage: Stage, address: str, backend: str) -> None:
    """When the pieces of an answer arrive, from the backend itself and through the gateway."""
    direct = stage.get("v1", "Pod", backend)["status"]["podIP"]
    read = "while read -r line; do case $line in data*) echo \"$(cut -d ' ' -f 1 /proc/uptime)\";; esac; done"
    for way, url in (("direct", f"http://{direct}:{_STREAM_PORT}/stream"), ("gateway", f"http://{address}/stream")):
        text = printed(stage, f"stream-{way}", f"curl -s -N -m 20 '{url}' | {read}")
        stage.note("streamed", way=way, arrivals=[float(line) for line in text.split()])


# Waits for a request, then sends server-sent events one by one, each in a chunk of its own.
_STREAM = """read -r line
printf "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
for i in 1 2 3 4 5 6; do printf "9\\r\\ndata: $i\\n\\n\\r\\n"; sleep 0.5; done
printf "0\\r\\n\\r\\n"
"""
_STREAM_PORT = 8082


def _by_path(backend: str) -> Manifest:
    matches = [{"path": {"type": "PathPrefix", "value": "/stream"}}]
    return {"matches": matches, "backendRefs": [{"name": backend, "port": 81}]}


def _by_header(backend: str) -> Manifest:
    matches = [{"headers": [{"name": _HEADER, "value": "two"}]}]
    return {"matches": matches, "backendRefs": [{"name": backend, "port": 80}]}


def _split(one: str, share: int, two: str, rest: int) -> Manifest:
    return {"backendRefs": [{"name": one, "port": 80, "weight": share}, {"name": two, "port": 80, "weight": rest}]}


def _route(stage: Stage, gateway: str, *rules: Manifest) -> None:
    spec = {"parentRefs": [{"name": gateway}], "rules": list(rules)}
    made = stage.apply({"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": "route"}, "spec": spec})

    def accepted() -> bool:
        parents = stage.get(API, "HTTPRoute", "route").get("status", {}).get("parents", [])
        return any(
            each["type"] == "Accepted" and each.get("observedGeneration", 0) >= made["metadata"]["generation"]
            for parent in parents
            for each in parent.get("conditions", [])
        )

    stage.wait("the route to be taken up", accepted, _ROUTE_LIMIT)


def _settled(stage: Stage, address: str, number: int, one: str, share: int) -> bool:
    """Waits until the gateway answers at all, and until a changed weight has arrived or had its time."""
    first = stage.wait(
        f"a first answer for weights {number}", lambda: _one(stage, address).startswith("backend-"), _ROUTE_LIMIT
    )

    def turned() -> bool:
        # Shares of 60 to 90 of a hundred: forty requests tell one from its complement.
        answers = _ask(stage, address, f"turned-{secrets.token_hex(4)}", 40, quiet=True)
        return (answers.get(one, 0) > 20) is (share > 50)

    if first and number > 1:
        stage.wait("the changed weights", turned, _TURN_LIMIT)
    return bool(first)


def _one(stage: Stage, address: str) -> str:
    found = _ask(stage, address, f"first-{secrets.token_hex(4)}", 1, quiet=True)
    return next(iter(found), "")


def _ask(
    stage: Stage, address: str, case: str, count: int, options: str = "", *, quiet: bool = False
) -> dict[str, int]:
    """How often each backend answered requests from a pod; an HTTP status in place of a name for other answers."""
    ask = f"curl -s -m 5 -w ' %{{http_code}}\\n' {options} 'http://{address}/hostname?[1-{count}]'"
    name = f"client-{case}"
    stage.pod(name, ask)
    stage.wait(f"the end of {name}", lambda: stage.phase(name) in ("Succeeded", "Failed"), _TRAFFIC_LIMIT)
    counts: dict[str, int] = {}
    for line in stage.log(name).splitlines():
        body, _, code = line.rpartition(" ")
        answer: Any = body.strip() if code == "200" else code
        counts[answer] = counts.get(answer, 0) + 1
    if quiet:
        stage.api.delete("v1", "Pod", name, stage.namespace, grace=0)
    return counts
