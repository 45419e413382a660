"""The verdict from the pool's nodes and the pod that waited for one."""

from __future__ import annotations

import re

from plimsoll.capabilities.cluster_autoscaling.records import Commanded, Grown, PodRan, PodWaiting, Pool, Shrunk
from plimsoll.capabilities.records import Came, Recorded
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown


def judge(record: Recorded) -> Verdict:
    """The pool has to grow, the new node has to work, and the pool has to shrink."""
    pool, waiting = record.first(Pool), record.first(PodWaiting)
    if pool is None:
        return unknown("no pool was tested")
    if waiting is None:
        return environment_error(
            f"the pool {pool.name} had room for every pod, so that none had to wait", "try again when it is smaller"
        )
    ran, grown = record.first(PodRan), record.first(Grown)
    if ran is None or grown is None:
        return unknown("not every step was made")
    new = {uid: node for uid, node in grown.nodes.items() if uid not in pool.nodes}
    first = f"{len(pool.nodes)} → {len(grown.nodes)}"
    if not new:
        return failed(first, "a pending pod brought no node", "see the autoscaler's logs and the pool's limits")
    node = next((each for each in new.values() if each.name == ran.node), None)
    if node is None:
        return failed(first, f"the pod ran on {ran.node or 'no node'}, which is not a new one", "see the pod's events")
    # The product is in no manifest: a pod that prints it has run the script.
    if not re.search(rf"\bworked out {_product(waiting.factors)}\b", ran.log):
        return failed(
            first,
            f"nothing runs on the new node {node.name}: it may be only an object"
            + (f" ({', '.join(node.annotations)})" if node.annotations else ""),
            "use a pool with real nodes",
        )
    command = record.first(Commanded)
    if command is None or not re.search(rf"\banswer {_product(command.factors)}\b", command.answer):
        return failed(
            first,
            f"the pod on the new node {node.name} does not answer over the network",
            "see the node's network, and whether its pods are real",
        )
    shrunk = record.first(Shrunk)
    if shrunk is None:
        return unknown("not every step was made")
    figure = f"{first} → {len(shrunk.nodes)} nodes of {pool.name}"
    if set(new) & set(shrunk.nodes):
        return failed(figure, "a new node stayed when its pod was deleted", "see the pool's consolidation settings")
    seconds = next((each.seconds for each in record.all(Came) if "Running" in each.what), 0)
    return passed(f"{figure}, running on the new one after {seconds:.0f} s")


def _product(factors: tuple[int, int]) -> int:
    one, two = factors
    return one * two
