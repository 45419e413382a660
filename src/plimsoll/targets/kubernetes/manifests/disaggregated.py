"""Engines that read questions apart from those that write answers, as llm-d has it: prefill and decode.

A picker leads each request to a server, and names an engine that is to read its question in a header. Our server hands
that header on to llm-d's sidecar beside it, which has the question read there, and then has the engine of its own pod
write the answer from what that one has read. Both kinds of pods are one pool, told apart by a label.

Sources: llm-d's router and its sidecar, release 0.7.1; vLLM's NixlConnector. By contract: tests hold the objects
against these, and nobody has run them on accelerators.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.llms.engines.engine import DECODE_PORT, PORT, PREFILL_PORT
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.callers import reached_ports
from plimsoll.targets.kubernetes.manifests.engines import engine_container, engine_volumes
from plimsoll.targets.kubernetes.manifests.groups import Group, ServedVersions
from plimsoll.targets.kubernetes.manifests.models import with_models
from plimsoll.targets.kubernetes.manifests.nodes import on_architectures
from plimsoll.targets.kubernetes.manifests.pod import (
    RESTRICTED,
    RESTRICTED_POD,
    authorities_volume,
    wanted,
)
from plimsoll.targets.kubernetes.manifests.policies import TRACES, common_egress, policy, tcp_ports
from plimsoll.targets.kubernetes.manifests.runtimes import runtime_of

PREFILL = "prefill"
"""In place of a version, the label of what only reads questions."""
SIDECAR = "llm-d-routing-sidecar"
"""The name by which KServe knows the container too."""
_SIDECAR_IMAGE = "ghcr.io/llm-d/llm-d-routing-sidecar:v0.7.1"
_ROLE = "llm-d.ai/role"
_POOL = "plimsoll.dev/pool"
_SPARE = 10
"""Seconds that a pod which reads has beyond the longest answer: what it has read is fetched while it is written."""


def is_disaggregated(served: ServedVersions) -> bool:
    """Whether questions are read apart."""
    return served.prefiller is not None


def pool_labels(group: Group) -> dict[str, str]:
    """What pods of both kinds carry, and nothing else."""
    return {_POOL: group.name}


def writing(served: ServedVersions, group: Group) -> dict[str, str]:
    """Labels of pods with a server and an engine that writes."""
    return {_ROLE: "decode", **pool_labels(group)} if is_disaggregated(served) else {}


def sidecar(served: ServedVersions) -> list[Manifest]:
    """What stands between a server and its engine; nothing where the engine does all.

    It is told whom to ask by a header, so that a policy says whom its pod reaches.
    """
    if not is_disaggregated(served):
        return []
    words = [
        f"--port={PORT}",
        f"--vllm-port={DECODE_PORT}",
        "--kv-connector=nixlv2",
        "--secure-proxy=false",
        "--enable-ssrf-protection=false",
    ]
    return [
        {
            "name": SIDECAR,
            "image": _SIDECAR_IMAGE,
            "command": ["/app/pd-sidecar", *words],
            "restartPolicy": "Always",
            "ports": [{"containerPort": PORT, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    ]


def readers(group: Group, cluster: Cluster, account: str) -> Manifest:
    """The Deployment of the engines that read. Our server is not in their pods: sidecars alone ask them."""
    served = group.served
    assert served.prefiller is not None  # noqa: S101 - whoever asks knows that there is one
    claimed, resources = wanted(served.resources, cluster, served.application)
    labels = {
        **names.of_application(served.application),
        names.STANDS_BEFORE: readers_of(group.name),
        _ROLE: PREFILL,
        **pool_labels(group),
    }
    pod: Manifest = {
        "metadata": {"labels": labels, "annotations": {}},
        "spec": {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": served.longest_answer + _SPARE,
            "securityContext": RESTRICTED_POD,
            "containers": [engine_container(served.prefiller, resources)],
            "volumes": [
                {"name": "work", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                *engine_volumes(served),
                authorities_volume(),
            ],
            **claimed,
            **runtime_of(served.isolation, cluster),
        },
    }
    pod["spec"] = on_architectures(pod["spec"], served.architectures)
    template = with_models(pod, served.models, served.image, served.application)
    content = hashlib.sha256(msgspec.json.encode(template, order="sorted")).hexdigest()
    template["metadata"]["annotations"][names.CONTENT] = content
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": readers_of(group.name),
            "labels": {**group.labels, names.VERSION: PREFILL},
            "annotations": {names.KEY: served.key},
        },
        "spec": {
            "replicas": served.prefillers,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": 300,
            "template": template,
        },
    }


def readers_of(name: str) -> str:
    """What the Deployment of a service's engines that read is called."""
    return f"{name}-{PREFILL}"


def pool_policies(group: Group, cluster: Cluster, picker: dict[str, str]) -> Iterator[Manifest]:
    """Who reaches whom in a pool: what was read goes from pod to pod at ports that nobody knows before.

    Its pods reach each other, what all pods of ours need, and nobody else, whatever a header says. `picker` are the
    labels of the picker, which looks at all of them.
    """
    served, peers = group.served, {"podSelector": {"matchLabels": pool_labels(group)}}
    labels = {**group.labels, names.VERSION: PREFILL}
    looked_at = {"from": [{"podSelector": {"matchLabels": picker}}], "ports": tcp_ports((PREFILL_PORT,))}
    asked = [*(TRACES if served.telemetry.traces else ()), *reached_ports(served)]
    spec = {
        **peers,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [peers]}, looked_at],
        "egress": [*common_egress(cluster), {"to": [peers]}, *([{"ports": tcp_ports(asked)}] if asked else [])],
    }
    yield policy(f"{group.name}-pool", labels, spec)
