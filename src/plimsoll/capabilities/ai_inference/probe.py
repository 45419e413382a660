"""Traffic through a gateway that is made for it."""

from __future__ import annotations

import secrets
from typing import Any

from plimsoll.capabilities.facts import ClusterFacts
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
    """Without an accepted GatewayClass there is nothing to send traffic through."""
    if any(each["accepted"] for each in facts.gateway_classes):
        return None
    if "gateway-class" in facts.unreadable:
        return unknown("gateway classes may not be listed", "grant list on gatewayclasses")
    remedy = "install a Gateway API implementation (such as Envoy Gateway) and its GatewayClass"
    if not facts.serves("gateway.networking.k8s.io"):
        return failed("", "the Gateway API is not served", remedy)
    return failed("", "no GatewayClass is accepted by its controller", remedy)


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Tries the classes in order of name until one has a working gateway."""
    ns.create()
    one, two = (f"backend-{secrets.token_hex(4)}" for _ in range(2))
    for name in (one, two):
        _backend(ns, name)
    ready = ns.wait("two backends", lambda: all(_ready(ns, name) for name in (one, two)), 120)
    classes = [each for each in facts.gateway_classes if each["accepted"]]
    ns.note("backends", names=[one, two], ready=bool(ready), classes=[each["name"] for each in classes])
    for each in classes if ready else []:
        address = create_gateway(ns, each["name"])
        if address:
            ns.note("gateway", name=each["name"], controller=each["controller"], address=address)
            _traffic(ns, address, one, two)
            return


def _backend(ns: ProbeNamespace, name: str) -> None:
    """Says its name on one port, and on another answers in pieces, one every half second."""
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
        _route(ns, gateway, _by_header(two), _by_path(one), _split(one, share, two, 100 - share))
        if not _settled(ns, address, number, one, share):
            ns.note("measured", case=f"weights-{number}", backend=one, weight=share, answers={}, arrived={})
            return
        _measure(ns, address, f"weights-{number}", (one, two), REQUESTS, backend=one, weight=share)
    _measure(ns, address, "header", (one, two), 50, f"-H '{_HEADER}: two'", backend=two, weight=100)
    _stream(ns, address, one)
    _route(ns, gateway, {"backendRefs": [{"name": "plimsoll-nobody", "port": 80}]})
    ns.wait("a route to nowhere", lambda: _one(ns, address).isdigit(), _ROUTE_LIMIT)
    _measure(ns, address, "nowhere", (one, two), 20, backend="", weight=0)


def _measure(
    ns: ProbeNamespace, address: str, case: str, backends: tuple[str, str], count: int, options: str = "", **more: Any
) -> None:
    before = {name: _asked(ns, name) for name in backends}
    answers = _ask(ns, address, case, count, options)
    arrived = {name: _asked(ns, name) - before[name] for name in backends}
    ns.note("measured", case=case, answers=answers, arrived=arrived, **more)


def _asked(ns: ProbeNamespace, backend: str) -> int:
    """How many requests a backend itself says that it has had."""
    return ns.log(backend).count("GET /hostname")


def _stream(ns: ProbeNamespace, address: str, backend: str) -> None:
    """When the pieces of an answer arrive, from the backend itself and through the gateway."""
    direct = ns.get("v1", "Pod", backend)["status"]["podIP"]
    read = "while read -r line; do case $line in data*) echo \"$(cut -d ' ' -f 1 /proc/uptime)\";; esac; done"
    for way, url in (("direct", f"http://{direct}:{_STREAM_PORT}/stream"), ("gateway", f"http://{address}/stream")):
        text = run_script(ns, f"stream-{way}", f"curl -s -N -m 20 '{url}' | {read}")
        ns.note("streamed", way=way, arrivals=[float(line) for line in text.split()])


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

    ns.wait("the route to be taken up", accepted, _ROUTE_LIMIT)


def _settled(ns: ProbeNamespace, address: str, number: int, one: str, share: int) -> bool:
    """Waits until the gateway answers at all, and until a changed weight has arrived or had its time."""
    first = ns.wait(
        f"a first answer for weights {number}", lambda: _one(ns, address).startswith("backend-"), _ROUTE_LIMIT
    )

    def turned() -> bool:
        # Shares of 60 to 90 of a hundred: forty requests tell one from its complement.
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
    """How often each backend answered requests from a pod; an HTTP status in place of a name for other answers."""
    ask = f"curl -s -m 5 -w ' %{{http_code}}\\n' {options} 'http://{address}/hostname?[1-{count}]'"
    name = f"client-{case}"
    ns.pod(name, ask)
    ns.wait(f"the end of {name}", lambda: ns.phase(name) in ("Succeeded", "Failed"), _TRAFFIC_LIMIT)
    counts: dict[str, int] = {}
    for line in ns.log(name).splitlines():
        body, _, code = line.rpartition(" ")
        answer: Any = body.strip() if code == "200" else code
        counts[answer] = counts.get(answer, 0) + 1
    if quiet:
        ns.api.delete("v1", "Pod", name, ns.name, grace=0)
    return counts
