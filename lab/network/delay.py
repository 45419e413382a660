"""Slows a node's link. The kernel's own emulator (netem) is often not built in, a queue to user space always is."""

from __future__ import annotations

import os

from lab import background
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.commands import run, succeeds
from lab.errors import LabError
from lab.layout import Node
from lab.network import wires

_QUEUE_IN, _QUEUE_OUT = 7, 8
# iptables and not nft: kernels without nft_queue have the older target. "bypass": when the program is gone packets pass
# as if nothing had been asked.
_RULES = (
    ("raw", "PREROUTING", "--in-interface", _QUEUE_IN),
    ("mangle", "POSTROUTING", "--out-interface", _QUEUE_OUT),
)


def set_delay(node: Node, milliseconds: float) -> None:
    """Makes every packet of the node wait `milliseconds` in each direction; 0 ends it."""
    for table, chain, interface, queue in _RULES:
        while succeeds(*_command(node, table, "--delete", chain, interface, queue)):
            pass
    background.end(_place(node))
    if milliseconds > 0:
        _start(node, milliseconds)
        for table, chain, interface, queue in _RULES:
            run(*_command(node, table, "--insert", chain, interface, queue))


def is_slowed(node: Node) -> bool:
    """Whether the node's packets are delayed."""
    return background.runs(_place(node))


def _place(node: Node) -> str:
    return f"{node.name}-delay"


def _command(node: Node, table: str, action: str, chain: str, interface: str, queue: int) -> list[str]:
    target = ("--jump", "NFQUEUE", "--queue-num", str(queue), "--queue-bypass")
    return wires.inside(
        node.namespace, "iptables", "--wait", "--table", table, action, chain, interface, "eth0", *target
    )


def _start(node: Node, milliseconds: float) -> None:
    program = folder_of(BY_NAME["programs"]) / "delay"
    command = wires.inside(node.namespace, program, f"{milliseconds}ms", str(_QUEUE_IN), str(_QUEUE_OUT))
    reading, writing = os.pipe()
    with os.fdopen(reading) as answer:
        try:
            background.start(_place(node), command, log=node.folder / "logs" / "delay.log", output=writing)
        finally:
            os.close(writing)
        # Its one line says that it holds the queues; before that the rules would let packets pass.
        line = answer.readline()
    if not line:
        raise LabError(f"packets of {node.name} cannot be delayed; 'python -m lab logs {node.name}/delay'")
