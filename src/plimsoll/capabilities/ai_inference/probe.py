"""Sends traffic through a gateway of its own."""

from __future__ import annotations

import secrets

from plimsoll.capabilities.ai_inference.records import Backends, Streamed, TrafficMeasured
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.gateways import API, create_gateway
from plimsoll.capabilities.monitoring import run_script
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, failed, unknown
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

REQUESTS = 400
_ROUTE_LIMIT = 60.0
_TRAFFIC_LIMIT = 180.0
_TURN_LIMIT = 30.0
_HEADER = "x-plimsoll-model"


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Traffic needs a GatewayClass that a controller accepts."""
    if any(each.accepted for each in facts.gateway_classes):
        return None
    if "gateway-class" in facts.unreadable:
        return unknown("the caller may not list gateway classes", "grant list on gatewayclasses")
    remedy = "install a Gateway API implementation (such as Envoy Gateway) and its GatewayClass"
    if not facts.serves("gateway.networking.k8s.io"):
        return failed("", "the cluster does not serve the Gateway API", remedy)
    return failed("", "no controller accepts a GatewayClass", remedy)


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test the gateway classes in order of name until one has a gateway with an address."""
    ns.create()
    one, two = (f"backend-{secrets.token_hex(4)}" for _ in range(2))
    for name in (one, two):
        _create_backend(ns, name)
    ready = ns.wait("two backends", lambda: all(_ready(ns, name) for name in (one, two)), 120)
    classes = [each for each in facts.gateway_classes if each.accepted]
    ns.note(Backends(names=(one, two), ready=bool(ready), classes=tuple(each.name for each in classes)))
    for each in classes if ready else []:
        address = create_gateway(ns, each.name)
        if address:
            ns.note(GatewayReady(name=each.name, controller=each.controller, address=address))
            _traffic(ns, address, one, two)
            return


def _create_backend(ns: ProbeNamespace, name: str) -> None:
    """Create a backend that answers with its name, and on a second port in pieces, one every half second."""
    script = (
        f"printf '%s' '{_STREAM}' > /tmp/stream; "
        "(while :; do rm -f /tmp/pipe; mkfifo /tmp/pipe; "
        f"nc -l -p {_STREAM_PORT} < /tmp/pipe | sh /tmp/stream > /tmp/pipe; done) & "
        "exec /agnhost netexec --http-port=8080 --udp-port=-1"
    )
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    ns.pod(name, script, container={"readinessProbe": probe})
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "stream", "port": 81, "targetPort": _STREAM_PORT},
    ]
    spec = {"selector": {"app": name}, "ports": ports}
    ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def _ready(ns: ProbeNamespace, name: str) -> bool:
    return has_condition(ns.get("v1", "Pod", name), "Ready")


def _traffic(ns: ProbeNamespace, address: str, one: str, two: str) -> None:
    gateway = ns.list(API, "Gateway")[0]["metadata"]["name"]
    weight = 60 + secrets.randbelow(31)
    for number, share in enumerate((weight, 100 - weight), start=1):
        case = f"weights-{number}"
        _route(ns, gateway, _by_header(two), _by_path(one), _split(one, share, two, 100 - share))
        if not _settled(ns, address, number, one, share):
            ns.note(TrafficMeasured(case=case, answers={}, arrived={}, backend=one, weight=share))
            return
        _measure(ns, address, case, (one, two), REQUESTS, backend=one, weight=share)
    _measure(ns, address, "header", (one, two), 50, f"-H '{_HEADER}: two'", backend=two, weight=100)
    _stream(ns, address, one)
    _route(ns, gateway, {"backendRefs": [{"name": "plimsoll-nobody", "port": 80}]})
    ns.wait("a route to nowhere", lambda: _one(ns, address).isdigit(), _ROUTE_LIMIT)
    _measure(ns, address, "nowhere", (one, two), 20, backend="", weight=0)


def _measure(
    ns: ProbeNamespace,
    address: str,
    case: str,
    backends: tuple[str, str],
    count: int,
    options: str = "",
    *,
    backend: str,
    weight: int,
) -> None:
    before = {name: _arrived(ns, name) for name in backends}
    answers = _ask(ns, address, case, count, options)
    arrived = {name: _arrived(ns, name) - before[name] for name in backends}
    ns.note(TrafficMeasured(case=case, answers=answers, arrived=arrived, backend=backend, weight=weight))


def _arrived(ns: ProbeNamespace, backend: str) -> int:
    """How many requests the backend itself counts."""
    return ns.log(backend).count("GET /hostname")


def _stream(ns: ProbeNamespace, address: str, backend: str) -> None:
    """Record when the pieces of an answer arrive, from the backend itself and through the gateway."""
    direct = ns.get("v1", "Pod", backend)["status"]["podIP"]
    read = "while read -r line; do case $line in data*) echo \"$(cut -d ' ' -f 1 /proc/uptime)\";; esac; done"
    for way, url in (("direct", f"http://{direct}:{_STREAM_PORT}/stream"), ("gateway", f"http://{address}/stream")):
        text = run_script(ns, f"stream-{way}", f"curl -s -N -m 20 '{url}' | {read}")
        ns.note(Streamed(way=way, arrivals=tuple(float(line) for line in text.split())))


# Reads a request, then sends server-sent events one by one, each in its own chunk.
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


def _route(ns: ProbeNamespace, gateway: str, *rules: Manifest) -> None:
    spec = {"parentRefs": [{"name": gateway}], "rules": list(rules)}
    made = ns.apply({"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": "route"}, "spec": spec})

    def accepted() -> bool:
        parents = ns.get(API, "HTTPRoute", "route").get("status", {}).get("parents", [])
        return any(
            each["type"] == "Accepted" and each.get("observedGeneration", 0) >= made["metadata"]["generation"]
            for parent in parents
            for each in parent.get("conditions", [])
        )

    ns.wait("the route to be accepted", accepted, _ROUTE_LIMIT)


def _settled(ns: ProbeNamespace, address: str, number: int, one: str, share: int) -> bool:
    """Wait until the gateway answers at all, and for changed weights until they apply or the limit is reached."""
    first = ns.wait(
        f"a first answer for weights {number}", lambda: _one(ns, address).startswith("backend-"), _ROUTE_LIMIT
    )

    def turned() -> bool:
        # The share is 60 to 90 of a hundred: forty requests distinguish it from its complement.
        answers = _ask(ns, address, f"turned-{secrets.token_hex(4)}", 40, quiet=True)
        return (answers.get(one, 0) > 20) is (share > 50)

    if first and number > 1:
        ns.wait("the changed weights", turned, _TURN_LIMIT)
    return bool(first)


def _one(ns: ProbeNamespace, address: str) -> str:
    found = _ask(ns, address, f"first-{secrets.token_hex(4)}", 1, quiet=True)
    return next(iter(found), "")


def _ask(
    ns: ProbeNamespace, address: str, case: str, count: int, options: str = "", *, quiet: bool = False
) -> dict[str, int]:
    """Answers to requests from a pod by backend, and by HTTP status for other answers."""
    ask = f"curl -s -m 5 -w ' %{{http_code}}\\n' {options} 'http://{address}/hostname?[1-{count}]'"
    name = f"client-{case}"
    ns.pod(name, ask)
    ns.wait(f"the end of {name}", lambda: ns.has_ended(name), _TRAFFIC_LIMIT)
    counts: dict[str, int] = {}
    for line in ns.log(name).splitlines():
        body, _, code = line.rpartition(" ")
        answer = body.strip() if code == "200" else code
        counts[answer] = counts.get(answer, 0) + 1
    if quiet:
        ns.api.delete("v1", "Pod", name, ns.name, grace=0)
    return counts
