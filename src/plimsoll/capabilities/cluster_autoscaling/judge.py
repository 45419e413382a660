"""What became of the waiting pod and its node."""

from __future__ import annotations

import re
from collections.abc import Sequence

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """Up, used, and down again."""
    pools, waiting, ran = events(record, "pool"), events(record, "waiting"), events(record, "ran")
    if not pools:
        return unknown("no pool was tried")
    pool = pools[0]
    if not waiting:
        return environment_error(
            f"the pool {pool['name']} took every pod at once, so that none had to wait", "try again when it is smaller"
        )
    grown, shrunk = events(record, "grown"), events(record, "shrunk")
    if not ran or not grown:
        return unknown("not every step was tried")
    new = {uid: node for uid, node in grown[0]["nodes"].items() if uid not in pool["nodes"]}
    first = f"{len(pool['nodes'])} → {len(grown[0]['nodes'])}"
    if not new:
        return failed(first, "a waiting pod brought no node", "see the autoscaler's logs and the pool's limits")
    node = next((each for each in new.values() if each["name"] == ran[0]["node"]), None)
    if node is None:
        return failed(
            first,
            f"the pod ran on {ran[0]['node'] or 'no node'}, which is none of the new ones",
            "see the pod's events",
        )
    a, b = waiting[0]["factors"]
    # The number stands in no manifest: whoever prints it has run the script.
    if not re.search(rf"\bworked out {a * b}\b", ran[0]["log"]):
        return failed(
            first,
            f"nothing runs on the new node {node['name']}: it may be an object only"
            + (f" ({', '.join(node['annotations'])})" if node["annotations"] else ""),
            "use a pool with real nodes",
        )
    commands = events(record, "command")
    c, d = commands[0]["factors"] if commands else (0, 0)
    if not commands or not re.search(rf"\banswer {c * d}\b", commands[0]["answer"]):
        return failed(
            first,
            f"what runs on the new node {node['name']} does not answer over the network",
            "see the node's network, and whether its pods are real",
        )
    if not shrunk:
        return unknown("not every step was tried")
    left = set(new) & set(shrunk[0]["nodes"])
    figure = f"{first} → {len(shrunk[0]['nodes'])} nodes of {pool['name']}"
    if left:
        return failed(figure, "a new node did not go when its pod was gone", "see the pool's consolidation settings")
    seconds = next((each["seconds"] for each in events(record, "came") if "Running" in each["what"]), 0)
    return passed(f"{figure}, running on the new one after {seconds:.0f} s")
