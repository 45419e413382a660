"""Nodes that a plan asks for and a cluster does not have: kinds of accelerators, and nodes that may go. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.accelerators import ACCELERATORS_BY_NAME, node_labels, nodes_with, platforms_with
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.kubernetes.platforms import BY_NAME, may_go, platform_of
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.targets.kubernetes.manifests.sagemaker import runs_on_sagemaker

_RETRIES = 3
"""What a plan proposes to a training on nodes that may go."""


def node_problems(plan: Plan, cluster: Cluster, chosen: Mapping[str, str]) -> Iterator[Shortfall]:
    """What no node of the cluster will do for a step; machines of SageMaker are none of its nodes."""
    for step in plan.steps:
        if runs_on_sagemaker(step, chosen):
            continue
        yield from _of_accelerators(step, cluster)
        yield from _of_spot(step, cluster)


def _of_accelerators(step: AnyStep, cluster: Cluster) -> Iterator[Shortfall]:
    name, topology = step.resources.accelerator, step.resources.slice
    if not name:
        return
    found, platforms = platform_of(cluster), platforms_with(name)
    if found is not None and found.grows and found.name not in platforms:
        titles = " and ".join(BY_NAME[each].title for each in platforms)
        message = f"{step.name} asks for {name}, which {found.title} does not have; {titles} has"
        yield _shortfall(step, "accelerator", message, "ask for another, or have it done on another target")
        return
    if _is_added(cluster):
        return
    there = nodes_with(name, topology, cluster)
    kind = f"{name} in slices of {topology}" if topology else name
    if not there:
        labels = " or ".join(dict.fromkeys(label for each in node_labels(name, topology, cluster) for label, _ in each))
        message = f"{step.name} asks for {kind}, which no node of {cluster.target} has by its label {labels}"
        yield _shortfall(step, "accelerator", message, "label such nodes so, or leave `accelerator` out")
        return
    resource, wanted = ACCELERATORS_BY_NAME[name].resource, step.resources.accelerators
    counts = [each.extended.get(resource, 0) for each in there]
    if wanted > max(counts):
        message = (
            f"a worker of {step.name} asks for {wanted} {name}; the largest of {len(there)} nodes has {max(counts)}"
        )
        yield _shortfall(step, "accelerators", message, "ask for fewer for each worker, and for more workers")
    elif wanted * step.workers > sum(each // wanted * wanted for each in counts):
        message = f"{step.workers} workers of {step.name} ask for {wanted * step.workers} {name} together"
        message += f"; {cluster.target} has {sum(counts)}"
        yield _shortfall(step, "accelerators", message, "ask for fewer, or add nodes")


def _of_spot(step: AnyStep, cluster: Cluster) -> Iterator[Shortfall]:
    if step.resources.spot != "only":
        return
    if isinstance(step.work, TrainGang) and not step.retries:
        message = f"{step.name} is on nodes that may be taken away at any time, and is not tried again"
        remedy = f"write retries: {_RETRIES}, from the last checkpoint each; or spot: allowed"
        yield Shortfall(step=step.name, setting=("retries",), at_key=True, message=message, remedy=remedy)
    if not _is_added(cluster) and not any(may_go(node) for node in cluster.nodes):
        message = f"{step.name} asks for nodes that may be taken away, and {cluster.target} has none by their labels"
        yield _shortfall(
            step, "spot", message, "write spot: allowed, or label such nodes karpenter.sh/capacity-type: spot"
        )


def _is_added(cluster: Cluster) -> bool:
    """Whether nodes may be there that are not seen now."""
    found = platform_of(cluster)
    return not cluster.nodes or (found is not None and found.grows)


def _shortfall(step: AnyStep, word: str, message: str, remedy: str) -> Shortfall:
    return Shortfall(step=step.name, setting=("resources", word), message=message, remedy=remedy)
