"""Scrapes the exporters on a node with accelerators, idle and under load."""

from __future__ import annotations

import re
import secrets

from plimsoll.capabilities.accelerator_metrics.judge import HELD
from plimsoll.capabilities.accelerator_metrics.records import (
    Allocated,
    EndpointsFound,
    Loaded,
    MetricsExpected,
    Scraped,
    Series,
)
from plimsoll.capabilities.facts import Accelerators, ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.monitoring import CONTROL_PORT, parse_samples, run_script
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, unknown
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

_LOAD_LIMIT = 60.0
_EXPERIMENT_LIMIT = 240.0
_MOST_ENDPOINTS = 3
_ROUNDS = 20
_LOOKS = 6
_HIGH, _LOW = 0.5, 0.1
_FEWEST_MIB, _CHOICES = 8, 13
"""The holder takes 8 to 20 MiB: a page that does not measure cannot know how many."""
_ORDERS = ("started", "stopped", "emptied", "taken", "given-back")
"""What the page of each order to the holder is called."""
_DID = re.compile(r"(?<![/\w])did\b")
# Ports of exporters of known hardware that declare none.
_USUAL_PORTS = (9400, 9401, 5000, 2112, 41611)
_DRIVER_RIGHTS: Manifest = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe knows the names of metrics for known hardware only."""
    if _place(facts):
        return None
    return unknown("no node has accelerators of a known device plugin", "report the hardware of the nodes")


def _place(facts: ClusterFacts) -> Accelerators | None:
    fit = [each for each in facts.by_plugin() if each.hardware and each.hardware.utilization]
    return next(iter(fit), None)


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Find the exporters, and scrape them while a device is held, used, and held again."""
    place = _place(facts)
    if place is None or place.hardware is None:
        return
    hardware = place.hardware
    ns.create("baseline")
    expected = MetricsExpected(
        node=place.node,
        resource=place.resource,
        hardware=hardware.name,
        devices=sum(each.count for each in facts.accelerators if each.node == place.node and each.hardware == hardware),
        full=hardware.full,
        loadable=bool(hardware.load),
        allocates=bool(hardware.allocate),
        unit=hardware.memory_unit,
    )
    ns.note(expected)
    endpoints = _endpoints(ns, place.node)
    ns.note(EndpointsFound(found=tuple(endpoints)))
    live = _live(ns, endpoints, hardware)
    if not live:
        return
    if not hardware.load:
        _note_scrapes(ns, run_script(ns, "scrapes", _page("idle", live, hardware)), live, hardware)
        return
    _make_load(ns, place, hardware)
    if ns.wait(HELD, lambda: _devices(ns), _LOAD_LIMIT):
        _experiment(ns, live, hardware)
    ns.api.delete("v1", "Pod", "load", ns.name, grace=1)


def _live(ns: ProbeNamespace, endpoints: list[str], hardware: Hardware) -> list[str]:
    """Endpoints that serve any of the metrics, three at most."""
    script = "\n".join(_page(f"look-{number}", [each], hardware) for number, each in enumerate(endpoints))
    pages = _pages(run_script(ns, "look", script)) if endpoints else []
    serving = {case for case, _, page in pages if parse_samples(page, metric_names(hardware))}
    found = [each for number, each in enumerate(endpoints) if f"look-{number}" in serving]
    return found[:_MOST_ENDPOINTS]


def metric_names(hardware: Hardware) -> tuple[str, ...]:
    """Names of all metrics of the hardware that the probe reads."""
    return (*hardware.utilization, *hardware.memory)


def _page(case: str, endpoints: list[str], hardware: Hardware) -> str:
    """A script that prints these metrics of each endpoint, and no others: they may be private to somebody."""
    pattern = "|".join(metric_names(hardware))
    return "\n".join(
        f"echo '== {case} {number}'; curl -s -m 5 '{each}' | grep -E '^({pattern})'"
        for number, each in enumerate(endpoints)
    )


def _pages(text: str) -> list[tuple[str, int, str]]:
    """Case, number of the endpoint and content of each printed page."""
    found = []
    for part in text.split("== ")[1:]:
        head, _, body = part.partition("\n")
        case, _, number = head.partition(" ")
        found.append((case, int(number or 0), body))
    return found


def _experiment(ns: ProbeNamespace, live: list[str], hardware: Hardware) -> None:
    """Scrape and control the load in one client, so that a scrape is a second after the command before it.

    Each state is scraped several times, to see whether the values change by themselves.
    """
    address = ns.get("v1", "Pod", "load")["status"]["podIP"]
    amount = _FEWEST_MIB + secrets.randbelow(_CHOICES)
    order = f"curl -s -m 10 -G --data-urlencode 'cmd={{}}' http://{address}:{CONTROL_PORT}/shell"
    names = "|".join(hardware.utilization)
    # Succeeds when the highest utilization of the last page is above this share of full.
    above = f"grep -hE '^({names})' /tmp/page | awk '{{{{if($NF>m)m=$NF}}}} END{{{{exit !(m>{{}}*{hardware.full})}}}}'"

    def until(case: str, condition: str) -> str:
        page = _page(case, live, hardware)
        again = f"i=$((i+1)); {condition} && break; sleep 1"
        return f"i=0; while [ $i -lt {_ROUNDS} ]; do ( {page} ) | tee /tmp/page; {again}; done"

    def looks(case: str) -> str:
        return f"i=0; while [ $i -lt {_LOOKS} ]; do {_page(case, live, hardware)}; sleep 1; i=$((i+1)); done"

    def ordered(name: str, command: str) -> str:
        return f"echo '== {name} 0'; " + order.format(command)

    steps = [
        looks("idle"),
        ordered("started", "touch /tmp/go"),
        until("rising", above.format(_HIGH)),
        looks("loaded"),
        ordered("stopped", "rm /tmp/go; cat /tmp/did"),
        until("falling", "! " + above.format(_LOW)),
        looks("after"),
    ]
    if hardware.allocate:
        steps += [
            ordered("emptied", f"{hardware.free} && echo did"),
            looks("empty"),
            ordered("taken", f"{hardware.allocate.format(amount)} && echo did"),
            looks("held"),
            ordered("given-back", f"{hardware.free} && echo did"),
            looks("freed"),
        ]
    script = "\n".join(steps)
    text = run_script(ns, "scrapes", script, limit=_EXPERIMENT_LIMIT)
    # The name of the file stands in the shell's message too when there is no such file.
    done = {case for case, _, page in _pages(text) if case in _ORDERS and _DID.search(page)}
    ns.note(Loaded(devices=tuple(_devices(ns)), did="stopped" in done))
    if hardware.allocate:
        freed = {"emptied", "given-back"} <= done
        ns.note(Allocated(bytes=amount << 20, did="taken" in done, freed=freed))
    _note_scrapes(ns, text, live, hardware)


def _endpoints(ns: ProbeNamespace, node: str) -> list[str]:
    """URLs at which pods of the node may serve metrics."""
    found = []
    for pod in ns.api.list("v1", "Pod"):
        address = pod["status"].get("podIP")
        if pod["spec"].get("nodeName") != node or not address or pod["status"].get("phase") != "Running":
            continue
        annotations = pod["metadata"].get("annotations", {})
        path = annotations.get("prometheus.io/path", "/metrics")
        ports = {annotations[key] for key in ("prometheus.io/port",) if key in annotations}
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", []):
                if "metric" in port.get("name", "") or port["containerPort"] in _USUAL_PORTS:
                    ports.add(str(port["containerPort"]))
        found += [f"http://{address}:{port}{path}" for port in sorted(ports)]
    return found


def _note_scrapes(ns: ProbeNamespace, text: str, live: list[str], hardware: Hardware) -> None:
    for case, number, page in _pages(text):
        if case in _ORDERS:
            continue
        series = tuple(
            Series(
                name=each.name,
                device=next((each.labels[key] for key in hardware.identity if key in each.labels), ""),
                value=each.value,
                utilization=each.name in hardware.utilization,
            )
            for each in parse_samples(page, metric_names(hardware))
        )
        ns.note(Scraped(case=case, endpoint=live[number], series=series))


def _make_load(ns: ProbeNamespace, place: Accelerators, hardware: Hardware) -> None:
    """Create a pod that holds one device, prints its id, and loads it while there is a file /tmp/go."""
    script = (
        f"echo ${hardware.variables[0]} | tr , '\\n'; "
        f"/agnhost netexec --http-port={CONTROL_PORT} --udp-port=-1 & "
        f"while :; do if [ -e /tmp/go ]; then {hardware.load}; echo did >> /tmp/did; else sleep 0.2; fi; done"
    )
    probe = {"httpGet": {"path": "/", "port": CONTROL_PORT}, "periodSeconds": 1}
    container = {
        "securityContext": _DRIVER_RIGHTS,
        "resources": {"limits": {place.resource: "1"}},
        "readinessProbe": probe,
    }
    selector = {"kubernetes.io/hostname": place.node}
    ns.pod("load", script, container=container, nodeSelector=selector, tolerations=[{"operator": "Exists"}])


def _devices(ns: ProbeNamespace) -> list[str]:
    """The ids of the holder's devices; empty while it is not ready for commands."""
    if not has_condition(ns.get("v1", "Pod", "load"), "Ready"):
        return []
    lines = ns.log("load").splitlines()
    return [line for line in lines[: next((n for n, line in enumerate(lines) if " " in line), len(lines))] if line]
