"""Slows a node's link. The kernel's own emulator (netem) is often not built in, a queue to user space always is."""

from __future__ import annotations

import subprocess

from lab import background
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.commands import run
from lab.errors import LabError
from lab.layout import Node
from lab.network import wires

_TABLE = "inet plimsoll-lab-delay"
_QUEUE_IN, _QUEUE_OUT = 7, 8


def set_delay(node: Node, milliseconds: float) -> None:
    """Makes every packet of the node wait `milliseconds` in each direction; 0 ends it."""
    place = f"{node.name}-delay"
    background.end(place)
    rules = f"table {_TABLE}\ndelete table {_TABLE}\n"
    if milliseconds > 0:
        _start(node, place, milliseconds)
        # "bypass": when the program is gone packets pass as if nothing had been asked.
        rules += f"""table {_TABLE} {{
            chain in {{ type filter hook prerouting priority -350; iifname "eth0" queue flags bypass to {_QUEUE_IN} }}
            chain out {{ type filter hook postrouting priority 350; oifname "eth0" queue flags bypass to {_QUEUE_OUT} }}
        }}"""
    run(*wires.inside(node.namespace, "nft", "-f", "-"), stdin=rules)


def _start(node: Node, place: str, milliseconds: float) -> None:
    program = folder_of(BY_NAME["programs"]) / "delay"
    command = wires.inside(node.namespace, program, f"{milliseconds}ms", str(_QUEUE_IN), str(_QUEUE_OUT))
    started = background.start(place, command, log=node.folder / "logs" / "delay.log", output=subprocess.PIPE)
    assert started.stdout is not None
    # Its one line says that it holds the queues; before that the rules would let packets pass.
    line = started.stdout.readline()
    started.stdout.close()
    if not line:
        raise LabError(f"packets of {node.name} cannot be delayed; 'python -m lab logs {node.name}/delay'")
