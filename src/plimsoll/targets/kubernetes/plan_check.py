"""What a cluster would refuse of a plan, found before anything is made. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import Plan
from plimsoll.targets.kubernetes.providers import PRINT_RIGHTS


def problems(plan: Plan, cluster: Cluster) -> tuple[Shortfall, ...]:
    """What is wrong with the steps of a plan on a cluster."""
    return tuple(_uncounted(plan, cluster))


def _uncounted(plan: Plan, cluster: Cluster) -> Iterator[Shortfall]:
    """Accelerators whose resource nobody has told: a pod that asked for none would train without them."""
    if cluster.accelerator or cluster.classes or "nodes" not in cluster.unseen:
        return
    for step in plan.steps:
        if step.resources.accelerators:
            message = (
                f"{step.name} requests accelerators, and you may not list nodes on {cluster.target}: "
                "they say under which resource accelerators are counted"
            )
            remedy = f"'{PRINT_RIGHTS}' prints the rights that are needed"
            setting = ("resources", "accelerators")
            yield Shortfall(step=step.name, setting=setting, message=message, remedy=remedy)
