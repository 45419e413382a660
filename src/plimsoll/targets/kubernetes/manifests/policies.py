"""Who reaches pods, and whom they reach. A policy counts where the cluster's network enforces policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.callers import reached_ports
from plimsoll.targets.kubernetes.manifests.gang import Workload
from plimsoll.targets.kubernetes.manifests.groups import PORT, ServedVersions
from plimsoll.targets.kubernetes.manifests.runtimes import strict

DNS = (53, 5353)
"""Where names are asked for: a policy sees the port of the pod that answers, which is 5353 on OpenShift."""
TRACES = (443, 4317, 4318)
"""Where traces go. The address is in a Secret, which no manifest knows."""
_METADATA = (("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fd00:ec2::/32"))
"""All addresses, and of these the ones at which clouds answer."""
NAMESPACE = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives every namespace."""


def alone(workload: Workload, name: str, labels: dict[str, str], cluster: Cluster) -> Workload:
    """A workload that reads what strangers wrote: nobody reaches its pods, and they reach the registry alone."""
    own = {"matchLabels": {key: labels[key] for key in (names.APPLICATION, names.KEY)}}
    spec = {"podSelector": own, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": common_egress(cluster)}
    return Workload(
        objects=(policy(name, labels, spec), *workload.objects), watched=workload.watched, restarts=workload.restarts
    )


def service_policy(
    name: str, labels: dict[str, str], served: ServedVersions, cluster: Cluster, *, held: bool
) -> Manifest:
    """Only the port of the protocol is reached, which is the one of the metrics too.

    An assistant reads documents and questions of strangers: its pods reach its language model, and the registry that
    they begin with, and nobody else. Code that is kept apart strictly reaches what the file lets in. `held` says that
    an activator holds requests for them.
    """
    own: Manifest = {"matchLabels": labels}
    spec: Manifest = {
        "podSelector": own,
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": PORT}]}],
    }
    if served.assists:
        spec["policyTypes"] = ["Ingress", "Egress"]
        spec["egress"] = [*common_egress(cluster), *_reached(own, served, held=held)]
    elif (asked := strict(served.isolation)) is not None:
        spec["policyTypes"] = ["Ingress", "Egress"]
        traces = [{"ports": tcp_ports(TRACES)}] if served.telemetry.traces else []
        spec["egress"] = [*common_egress(cluster), *traces, *([outside()] if asked.network else [])]
    return policy(name, labels, spec)


def policy(name: str, labels: dict[str, str], spec: Manifest) -> Manifest:
    """A policy by its name, with what it says."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def outside() -> Manifest:
    """All addresses but those at which clouds give a machine its credentials."""
    return {"to": [{"ipBlock": {"cidr": cidr, "except": [kept]}} for cidr, kept in _METADATA]}


def _reached(own: Manifest, served: ServedVersions, *, held: bool) -> Iterator[Manifest]:
    """The service of the language model, or the port of somebody else's."""
    tcp = [{"protocol": "TCP", "port": PORT}]
    if held:
        # An activator has the labels of the service too, and leads requests to its servers.
        yield {"to": [{"podSelector": own}], "ports": tcp}
    if served.asks:
        asked = {**names.of_application(served.application), names.SERVICE: served.asks}
        yield {"to": [{"podSelector": {"matchLabels": asked}}], "ports": tcp}
    else:
        yield from _endpoints(served)
    if served.telemetry.traces:
        yield {"ports": tcp_ports(TRACES)}
    if ports := reached_ports(served):
        yield {"ports": tcp_ports(ports)}


def _endpoints(served: ServedVersions) -> Iterator[Manifest]:
    """Ports of somebody else's language models; an engine beside the server is in the same pod, and needs none."""
    for model in served.file.models:
        endpoint = model.llm.endpoint if model.llm is not None else None
        if endpoint is not None and served.engine is None:
            parts = urlsplit(endpoint.url)
            yield {"ports": tcp_ports((parts.port or (443 if parts.scheme == "https" else 80),))}


def common_egress(cluster: Cluster) -> list[Manifest]:
    """What every pod of ours needs: names, and the registry that its content is in."""
    names_are_asked = {"ports": [{"protocol": word, "port": port} for port in DNS for word in ("UDP", "TCP")]}
    return [names_are_asked, *_registry(cluster)]


def _registry(cluster: Cluster) -> Iterator[Manifest]:
    """A registry inside the cluster by its namespace: its pods have other ports than its Service."""
    place = cluster.registry
    if place is None:
        return
    host, _, port = place.pods.partition("/")[0].partition(":")
    words = host.removesuffix(".cluster.local").split(".")
    if len(words) == 3 and words[-1] == "svc":
        yield {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE: words[1]}}}]}
    else:
        yield {"ports": tcp_ports((int(port) if port.isdigit() else 443,))}


def tcp_ports(ports: Sequence[int]) -> list[Manifest]:
    """Ports as a policy names them."""
    return [{"protocol": "TCP", "port": port} for port in ports]
