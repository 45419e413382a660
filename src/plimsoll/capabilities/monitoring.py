"""Workloads whose metrics probes control, questions to Prometheus, and scripts that run in a pod of the probe."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from urllib.parse import quote

import msgspec
from msgspec import Struct

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.inventory_records import PrometheusFound
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.rights import MAKE, Right
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.kubernetes.api import Manifest

MONITORING = "monitoring.coreos.com/v1"
MONITOR_RIGHTS = (Right(group="monitoring.coreos.com", resources=("servicemonitors", "podmonitors"), verbs=MAKE),)
"""The rights of a probe that declares metrics by the Prometheus operator."""
PORT, CONTROL_PORT = 8080, 8081
PATH = "/tmp/metrics.txt"  # noqa: S108  # in a container of the probe
_CLIENT_LIMIT = 60.0
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


class LabelledSample(Struct, frozen=True, kw_only=True):
    """A sample of a metric; the value is None when it is not a finite number."""

    name: str
    labels: dict[str, str]
    value: float | None


def exporter_container(ns: ProbeNamespace, line: str, value: str, **more: object) -> Manifest:
    """A container that serves a line at PATH: `line` is a shell word with $value and $token in it.

    `value` is a shell expression. Its result and the token are random and drawn in the container. They are in no
    manifest: a program that knows them read them from the endpoint, or from the log, which begins with the line. The
    container runs commands that it gets on the control port.
    """
    # Prometheus accepts the page only as text: the server names it so for a file that ends in .txt.
    script = (
        f'value={value}; token=$(od -An -N6 -tx1 /dev/urandom | tr -d " \\n"); echo "{line}" | tee {PATH}; '
        f"/agnhost netexec --http-port={CONTROL_PORT} --udp-port=-1 & exec /agnhost test-webserver --port={PORT}"
    )
    ports = [{"name": "metrics", "containerPort": PORT}]
    probe = {"httpGet": {"path": PATH, "port": PORT}, "periodSeconds": 1}
    return ns.container(script, ports=ports, readinessProbe=probe, **more)


def exporter_request(address: str, command: str) -> str:
    """A shell command by which a pod with `exporter_container` runs another one; it prints its output as JSON."""
    words = f"cmd={command}".replace("'", "'\\''")
    return f"curl -s -m 10 -G --data-urlencode '{words}' http://{address}:{CONTROL_PORT}/shell"


RANDOM = "$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')"
"""A shell expression for a number from 0 to 65,535 that is drawn where it runs."""


def exported_samples(ns: ProbeNamespace, pod: str, series: str) -> list[LabelledSample]:
    """The samples of the series in the log of a pod with `exporter_container`."""
    return parse_samples(ns.log(pod), (series,))


def create_service(ns: ProbeNamespace, name: str) -> None:
    """Create a service for the metrics of pods with the label app."""
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
    """The output of a script in a pod of the probe: a look at the cluster from inside that needs no rights there."""

    def ended() -> bool:
        meanwhile()
        return ns.has_ended(name)

    ns.pod(name, f"{script}\ntrue")
    ns.wait(f"the end of {name}", ended, limit)
    text = ns.log(name) if ns.phase(name) == "Succeeded" else ""
    ns.api.delete("v1", "Pod", name, ns.name, grace=0)
    return text


class _Result(Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(Struct, frozen=True):
    result: tuple[_Result, ...] = ()


@decodable
class _Answer(Struct, frozen=True):
    data: _Data = _Data()


def query_prometheus(
    ns: ProbeNamespace, prometheus: PrometheusFound, expression: str, name: str
) -> list[LabelledSample]:
    """The samples of Prometheus' answer to an instant query; empty when it does not answer. `name` is the client's."""
    host = f"prometheus-operated.{prometheus.namespace}.svc:9090"
    text = run_script(ns, name, f"curl -s -m 10 'http://{host}/api/v1/query?query={quote(expression)}'")
    try:
        found = msgspec.json.decode(text, type=_Answer).data.result
    except UNREADABLE:
        return []
    return [
        LabelledSample(name=each.metric.get("__name__", ""), labels=each.metric, value=_number(each.value[1]))
        for each in found
    ]


def first_prometheus(facts: ClusterFacts) -> PrometheusFound | None:
    """The first Prometheus of the operator."""
    return next(iter(facts.prometheuses), None)


def monitor_labels(prometheus: PrometheusFound, kind: str) -> dict[str, str]:
    """The labels that a ServiceMonitor or PodMonitor needs for this Prometheus to select it."""
    return dict(prometheus.selectors.get(kind, {}))


def parse_samples(text: str, names: tuple[str, ...]) -> list[LabelledSample]:
    """The samples of some metrics in the Prometheus text format."""
    found = []
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match and match[1] in names:
            labels = dict(_LABEL.findall(match[2] or ""))
            found.append(LabelledSample(name=match[1], labels=labels, value=_number(match[3])))
    return found


def _number(text: str) -> float | None:
    """A finite number: JSON has no NaN and no infinity."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
