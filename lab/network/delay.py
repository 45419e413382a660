"""Slows a node's link with a queue to user space, which kernels always have. Many lack netem, their own emulator."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lab import background
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.commands import run
from lab.errors import LabError
from lab.layout import Node
from lab.network import netns

_QUEUE_IN, _QUEUE_OUT = 7, 8
# iptables, not nft, because kernels without nft_queue have its older target. With "bypass" packets pass without delay
# when the program is gone.
_RULES = (
    ("raw", "PREROUTING", "--in-interface", "--source", _QUEUE_IN),
    ("mangle", "POSTROUTING", "--out-interface", "--destination", _QUEUE_OUT),
)


def set_delay(node: Node, milliseconds: float, towards: Iterable[Node] | None = None) -> None:
    """Delays the node's packets by `milliseconds` in each direction; 0 ends the delay.

    `towards` limits the delay to packets from and to those nodes and their pods; None delays all packets.
    """
    for table, chain, *_ in _RULES:
        for rule in _queue_rules(node, table, chain):
            run(*_iptables(node, table, "--delete", *rule))
    background.stop(_process_name(node))
    if milliseconds > 0:
        _start(node, milliseconds)
        places = None if towards is None else [str(place) for each in towards for place in (each.address, each.pods)]
        for table, chain, interface, end, queue in _RULES:
            target = ("--jump", "NFQUEUE", "--queue-num", str(queue), "--queue-bypass")
            for match in [()] if places is None else [(end, place) for place in places]:
                run(*_iptables(node, table, "--insert", chain, interface, "eth0", *match, *target))


def is_slowed(node: Node) -> bool:
    """Whether the node's packets are delayed."""
    return background.is_running(_process_name(node))


def _process_name(node: Node) -> str:
    return f"{node.name}-delay"


def _iptables(node: Node, table: str, *arguments: str) -> list[str]:
    return netns.in_namespace(node.namespace, "iptables", "--wait", "--table", table, *arguments)


def _queue_rules(node: Node, table: str, chain: str) -> list[list[str]]:
    """The lab's rules of a chain, each as the arguments that delete it."""
    lines = run(*_iptables(node, table, "--list-rules", chain)).splitlines()
    return [line.split()[1:] for line in lines if line.startswith("-A") and "NFQUEUE" in line]


def _start(node: Node, milliseconds: float) -> None:
    program = folder_of(BY_NAME["programs"]) / "delay"
    command = netns.in_namespace(node.namespace, program, f"{milliseconds}ms", str(_QUEUE_IN), str(_QUEUE_OUT))
    reading, writing = os.pipe()
    with os.fdopen(reading) as answer:
        try:
            background.start(_process_name(node), command, log=node.folder / "logs" / "delay.log", output=writing)
        finally:
            os.close(writing)
        # The program prints one line when it holds the queues. Before that line the rules would let packets pass.
        line = answer.readline()
    if not line:
        raise LabError(f"the delay of {node.name} does not start; 'python -m lab logs {node.name}/delay' shows why")
