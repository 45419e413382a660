"""The nodes that a pod asks for: of its image's architectures, with its accelerators, and whether they may go. Pure.

Terms of an affinity are alternatives, and what one term says must all be so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plimsoll.kubernetes.accelerators import TPUS_BY_SELECTOR, Labelled, node_labels, resource_name
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.kubernetes.platforms import platform_of, spot_labels, spot_taints
from plimsoll.planning.steps import WorkerResources

ARCHITECTURE = "kubernetes.io/arch"
"""The label that every kubelet gives its node."""

Term = tuple[Manifest, ...]
"""Expressions over labels, all of which hold."""


def on_nodes(spec: Manifest, worker: WorkerResources, cluster: Cluster, architectures: Sequence[str] = ()) -> Manifest:
    """A pod's spec that asks for such nodes; of what nothing is said, it asks for nothing."""
    placed = on_architectures(spec, architectures)
    selector, terms = dict(placed.get("nodeSelector", {})), _terms(architectures)
    if worker.accelerator:
        alternatives = node_labels(worker.accelerator, worker.slice, cluster)
        if worker.accelerator in TPUS_BY_SELECTOR and alternatives:
            # Autoscalers of TPUs read the selector alone.
            selector |= {label: values[0] for label, values in alternatives[0]}
        else:
            terms = _all_of(terms, [tuple(map(_in, each)) for each in alternatives])
    terms = _all_of(terms, _spot_terms(worker, cluster))
    found = {**placed, "tolerations": [*placed.get("tolerations", []), *_tolerations(worker, cluster)]}
    if not found["tolerations"]:
        del found["tolerations"]
    if selector:
        found["nodeSelector"] = selector
    return _with_terms(found, terms) if terms != _terms(architectures) else found


def on_architectures(spec: Manifest, architectures: Sequence[str]) -> Manifest:
    """A pod's spec that asks for nodes on which its image runs; of unknown architectures it asks for none."""
    if len(architectures) == 1:
        return {**spec, "nodeSelector": {ARCHITECTURE: architectures[0]}}
    return _with_terms(spec, _terms(architectures))


def _terms(architectures: Sequence[str]) -> list[Term]:
    if len(architectures) < 2:
        return []
    return [({"key": ARCHITECTURE, "operator": "In", "values": list(architectures)},)]


def _with_terms(spec: Manifest, terms: Sequence[Term]) -> Manifest:
    if not terms:
        return spec
    written = [{"matchExpressions": list(each)} for each in terms]
    node = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": written}}
    return {**spec, "affinity": {**spec.get("affinity", {}), "nodeAffinity": node}}


def _all_of(terms: list[Term], more: list[Term]) -> list[Term]:
    """Terms that say both: each of one with each of the other."""
    if not terms or not more:
        return terms or more
    return [(*one, *other) for one in terms for other in more]


def _in(labelled: Labelled) -> Manifest:
    label, values = labelled
    return {"key": label, "operator": "In", "values": list(values)}


def _spot_terms(worker: WorkerResources, cluster: Cluster) -> list[Term]:
    labels = spot_labels(cluster)
    if worker.spot == "only":
        return [(_in((label, (value,))),) for label, value in labels]
    if worker.spot == "never":
        return [tuple({"key": label, "operator": "NotIn", "values": [value]} for label, value in labels)]
    return []


def _tolerations(worker: WorkerResources, cluster: Cluster) -> Iterable[Manifest]:
    if worker.accelerator:
        # By convention such nodes are tainted with the name of what they count.
        yield {"key": resource_name(worker.accelerator, cluster), "operator": "Exists", "effect": "NoSchedule"}
        found = platform_of(cluster)
        if found is not None and found.name == "aks":
            yield {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
    if worker.spot in ("allowed", "only"):
        for key, value in spot_taints(cluster):
            yield {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
