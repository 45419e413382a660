"""Sends requests to a pool through a gateway, while its servers change what they report."""

from __future__ import annotations

import secrets

from plimsoll.capabilities.advanced_inference_ingress.judge import ALONE, PAST
from plimsoll.capabilities.advanced_inference_ingress.records import (
    ModelServers,
    RequestsPicked,
    RouteRefused,
    ServersTold,
)
from plimsoll.capabilities.advanced_inference_ingress.scene import (
    GROUP,
    PICKER,
    POOL,
    POOL_API,
    SAY,
    SERVING_PORT,
    create_picker,
    create_pool,
    create_server,
)
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.gateways import API, create_gateway, gateway_name
from plimsoll.capabilities.monitoring import run_script
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, not_implemented, unknown
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

REQUESTS = 30
_REFUSED = 10
_START_LIMIT = 180.0
_ROUTE_LIMIT = 60.0
_TURN_LIMIT = 60.0
_TRAFFIC_LIMIT = 180.0
_PAST = "x-plimsoll-past-the-pool"


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Fails when the cluster does not serve InferencePools, or has no gateway class."""
    if POOL_API not in facts.served:
        return not_implemented(
            f"{POOL_API} is not served",
            "install the Gateway API Inference Extension and a gateway that implements it",
        )
    if any(each.accepted for each in facts.gateway_classes):
        return None
    if "gateway-class" in facts.unreadable:
        return unknown("the caller may not list gateway classes", "grant list on gatewayclasses")
    return not_implemented("no controller accepts a GatewayClass", "install a gateway that implements the extension")


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test the gateway classes in order of name until one accepts the pool as a backend."""
    ns.create()
    one, two = (f"server-{secrets.token_hex(4)}" for _ in range(2))
    for name in (one, two):
        create_server(ns, name)
    create_pool(ns)
    create_picker(ns)
    ready = ns.wait("the servers and the picker", lambda: _ready(ns, one, two, PICKER), _START_LIMIT)
    ns.note(ModelServers(names=(one, two), ready=bool(ready)))
    for each in facts.gateway_classes if ready else ():
        address = create_gateway(ns, each.name) if each.accepted else None
        if address and _accepts_pool(ns, gateway_name(each.name)):
            ns.note(GatewayReady(name=each.name, controller=each.controller, address=address))
            _Traffic(ns, address, one, two).run()
            return


def _ready(ns: ProbeNamespace, *pods: str) -> bool:
    return all(has_condition(ns.get("v1", "Pod", name), "Ready") for name in pods)


def _accepts_pool(ns: ProbeNamespace, gateway: str) -> bool:
    """Whether the gateway accepts a route with the pool as its backend; a refusal is recorded."""
    past = {
        "matches": [{"headers": [{"name": _PAST, "value": "yes"}]}],
        "backendRefs": [{"name": POOL, "port": SERVING_PORT}],
    }
    to_pool = {"backendRefs": [{"group": GROUP, "kind": "InferencePool", "name": POOL}]}
    spec = {"parentRefs": [{"name": gateway}], "rules": [past, to_pool]}
    ns.apply({"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": gateway}, "spec": spec})

    def conditions() -> dict[str, Manifest]:
        parents = ns.get(API, "HTTPRoute", gateway).get("status", {}).get("parents", [])
        found = {each["type"]: each for parent in parents for each in parent.get("conditions", [])}
        return found if {"Accepted", "ResolvedRefs"} <= set(found) else {}

    found = ns.wait("the gateway's conditions of the route", conditions, _ROUTE_LIMIT) or {}
    against = [
        each for each in found.values() if each["type"] in ("Accepted", "ResolvedRefs") and each["status"] != "True"
    ]
    if against or not found:
        said = "; ".join(f"{each['reason']}: {each.get('message', '')}" for each in against) or "nothing"
        ns.note(RouteRefused(gateway=gateway, said=said[:300]))
    return bool(found) and not against


class _Traffic:
    """Sends the requests of all cases, one case after another."""

    def __init__(self, ns: ProbeNamespace, address: str, one: str, two: str) -> None:
        self._ns = ns
        self._address = address
        self._servers = (one, two)
        self._first, self._second, self._nobodys = (f"model-{secrets.token_hex(4)}" for _ in range(3))

    def run(self) -> None:
        """Measure each case after its first right answer, or after the limit of the wait for it."""
        one, two = self._servers
        self._tell((self._first, 0), (self._second, 0))
        self._measure("first", self._first, one)
        self._measure("second", self._second, two)
        self._tell((self._second, 0), (self._first, 0))
        self._measure("moved", self._first, two)
        longer = 5 + secrets.randbelow(20)
        shorter = secrets.randbelow(2)
        waiting = (longer, 0) if shorter else (0, longer)
        self._tell(*(("", count) for count in waiting))
        self._measure("queued", self._nobodys, self._servers[shorter])
        self._note(PAST, self._first, "", f"-H '{_PAST}: yes'")
        self._ns.api.delete("v1", "Pod", PICKER, self._ns.name, grace=1)
        self._ns.wait("the end of the picker", lambda: not self._ns.phase(PICKER), _TURN_LIMIT)
        self._ns.wait("refusals", lambda: not set(self._servers) & set(self._ask(self._first, 3)), _TURN_LIMIT)
        # Each request waits for the gateway to give up the picker.
        self._note(ALONE, self._first, "", count=_REFUSED)

    def _tell(self, *words: tuple[str, int]) -> None:
        """Tell each server which model and which queue length it reports."""
        asks = []
        for name, (model, waiting) in zip(self._servers, words, strict=True):
            address = self._ns.get("v1", "Pod", name)["status"]["podIP"]
            command = f'sh {SAY} "{model}" {waiting}'
            asks.append(f"curl -s -m 10 -G --data-urlencode 'cmd={command}' http://{address}:{SERVING_PORT}/shell")
        run_script(self._ns, f"order-{secrets.token_hex(3)}", "\n".join(asks))
        self._ns.note(ServersTold(said=dict(zip(self._servers, words, strict=True))))

    def _measure(self, case: str, model: str, server: str) -> None:
        self._ns.wait(f"a first answer for {case}", lambda: set(self._ask(model, 3)) == {server}, _TURN_LIMIT)
        self._note(case, model, server)

    def _note(self, case: str, model: str, server: str, options: str = "", count: int = REQUESTS) -> None:
        before = {name: self._arrived(name) for name in self._servers}
        answers = self._ask(model, count, options)
        arrived = {name: self._arrived(name) - before[name] for name in self._servers}
        self._ns.note(
            RequestsPicked(case=case, model=model, server=server, asked=count, answers=answers, arrived=arrived)
        )

    def _arrived(self, name: str) -> int:
        """How many requests the server itself counts."""
        return self._ns.log(name).count("GET /hostname")

    def _ask(self, model: str, count: int, options: str = "") -> dict[str, int]:
        """Answers by server, and by HTTP status for other answers."""
        # Every prompt is new: a picker may send prompts with the same beginning to one server.
        body = f'{{\\"model\\": \\"{model}\\", \\"prompt\\": \\"$i {secrets.token_hex(4)}\\", \\"max_tokens\\": 1}}'
        ask = f"curl -s -m 10 -w ' %{{http_code}}\\n' -H 'Content-Type: application/json' {options}"
        script = f'for i in $(seq {count}); do {ask} -d "{body}" http://{self._address}/hostname; done'
        text = run_script(self._ns, f"client-{secrets.token_hex(4)}", script, _TRAFFIC_LIMIT)
        counts: dict[str, int] = {}
        for line in text.splitlines():
            said, _, code = line.rpartition(" ")
            answer = said.strip() if code == "200" else code
            if code.isdigit():
                counts[answer] = counts.get(answer, 0) + 1
        return counts
