"""Karpenter adds real nodes to an empty group and removes them again."""

from __future__ import annotations

import pytest

from lab import machines, nodes
from lab.kubectl import get
from tests.lab.cluster import Namespace, phase, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
WANTS_BOTH = {"resources": {"limits": {"plimsoll.dev/accelerator": 2}}}
ELASTIC = {"nodeSelector": {"plimsoll.dev/group": "elastic"}}


def elastic() -> set[str]:
    return {
        each["metadata"]["name"]
        for each in get("nodes")
        if each["metadata"]["labels"].get("plimsoll.dev/group") == "elastic"
    }


@pytest.mark.series
def test_waiting_pods_bring_nodes_up_to_the_limit_and_their_end_takes_the_nodes_away(
    up: Up, namespace: Namespace
) -> None:
    up("autoscaler")
    until(lambda: not elastic(), limit=120, what="an empty group")
    # Each of the four pods fills a node, and the group has at most three nodes.
    for number in range(4):
        namespace.pod(f"pod-{number}", wait=False, container=WANTS_BOTH, **ELASTIC)
    until(lambda: _running(namespace) == 3, limit=180, what="three running pods")
    names = elastic()
    assert len(names) == 3
    running = next(number for number in range(4) if phase(namespace, f"pod-{number}") == "Running")
    where = namespace.get("pod", f"pod-{running}")["spec"]["nodeName"]
    assert where in names
    assert machines.first_process(where) is not None
    shown = namespace.execute(f"pod-{running}", "sh", "-c", "ls /dev/plimsoll | wc -l")
    assert shown.stdout.strip() == "2"
    for number in range(4):
        namespace.delete_pod(f"pod-{number}")
    until(lambda: not elastic(), limit=180, what="the nodes' removal")
    until(lambda: not any(node.group == "elastic" for node in nodes.all_nodes()), limit=30, what="the machines' end")
    assert all(machines.first_process(name) is None for name in names)


def _running(namespace: Namespace) -> int:
    return sum(phase(namespace, f"pod-{number}") == "Running" for number in range(4))
