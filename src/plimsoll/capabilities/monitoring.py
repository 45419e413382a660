"""What several probes do with metrics: a workload that serves what it is told to, and questions to Prometheus."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.kubernetes.api import Manifest

MONITORING = "monitoring.coreos.com/v1"
PORT, CONTROL_PORT = 8080, 8081
PATH = "/tmp/metrics.txt"  # noqa: S108  # in a container of our own
_CLIENT_LIMIT = 60.0
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def exporter_container(ns: ProbeNamespace, line: str, value: str, **more: Any) -> Manifest:
    """A container that serves a line at PATH: `line` is a shell word with $value and $token in it.

    `value` is a shell expression. What it comes to is random and drawn in the container: it stands in no manifest, so
    that whoever knows it has read it where it is served, or in the container's log, which begins with it.
    On the control port the container takes orders.
    """
    # A file whose name ends in .txt is served as text, which Prometheus insists on.
    script = (
        f'value={value}; token=$(od -An -N6 -tx1 /dev/urandom | tr -d " \\n"); echo "{line}" | tee {PATH}; '
        f"/agnhost netexec --http-port={CONTROL_PORT} --udp-port=-1 & exec /agnhost test-webserver --port={PORT}"
    )
    ports = [{"name": "metrics", "containerPort": PORT}]
    probe = {"httpGet": {"path": PATH, "port": PORT}, "periodSeconds": 1}
    return ns.container(script, ports=ports, readinessProbe=probe, **more)


def exporter_request(address: str, command: str) -> str:
    """A shell command that has a pod with `exporter` run another one; it prints what that printed, as JSON."""
    words = f"cmd={command}".replace("'", "'\\''")
    return f"curl -s -m 10 -G --data-urlencode '{words}' http://{address}:{CONTROL_PORT}/shell"


RANDOM = "$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')"
"""A shell expression for a number from 0 to 65,535 that is drawn where it runs."""


def exported_samples(ns: ProbeNamespace, pod: str, series: str) -> list[dict[str, Any]]:
    """What a pod with `exporter` says that it serves."""
    return parse_samples(ns.log(pod), (series,))


def create_service(ns: ProbeNamespace, name: str) -> None:
    """A service in front of pods with the label app."""
    ports = [{"name": "metrics", "port": 80, "targetPort": PORT}]
    metadata = {"name": name, "labels": {"app": name}}
    spec = {"selector": {"app": name}, "ports": ports}
    ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def run_script(
    ns: ProbeNamespace,
    name: str,
    script: str,
    limit: float = _CLIENT_LIMIT,
    meanwhile: Callable[[], None] = lambda: None,
) -> str:
    """What a script prints in a pod of ours: how the cluster's inside is seen without rights in it."""

    def ended() -> bool:
        meanwhile()
        return ns.phase(name) in ("Succeeded", "Failed")

    ns.pod(name, f"{script}\ntrue")
    ns.wait(f"the end of {name}", ended, limit)
    text = ns.log(name) if ns.phase(name) == "Succeeded" else ""
    ns.api.delete("v1", "Pod", name, ns.name, grace=0)
    return text


def query_prometheus(
    ns: ProbeNamespace, prometheus: dict[str, Any], expression: str, name: str
) -> list[dict[str, Any]]:
    """Prometheus' answer to an instant query, as its series with labels and values; empty when there is none."""
    host = f"prometheus-operated.{prometheus['namespace']}.svc:9090"
    text = run_script(ns, name, f"curl -s -m 10 'http://{host}/api/v1/query?query={quote(expression)}'")
    try:
        found: list[dict[str, Any]] = msgspec.json.decode(text)["data"]["result"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return []
    return found


def first_prometheus(facts: ClusterFacts) -> dict[str, Any] | None:
    """The first Prometheus of the operator."""
    return next(iter(facts.prometheuses), None)


def monitor_labels(prometheus: dict[str, Any], kind: str) -> dict[str, str]:
    """The labels that a monitor needs for this Prometheus to follow it."""
    return dict(prometheus["selectors"].get(kind, {}))


def parse_samples(text: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The samples of some metrics in the Prometheus text format: name, labels, value."""
    found = []
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match and match[1] in names:
            labels = dict(_LABEL.findall(match[2] or ""))
            found.append({"name": match[1], "labels": labels, "value": _number(match[3])})
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    # JSON has no NaN; what is no number is none here either.
    return value if abs(value) != float("inf") and value == value else None  # noqa: PLR0124
