"""Accelerators by the names that a file has for them: slices of TPUs and their hosts, sizes of nodes. Pure tables.

Sources: "Plan TPUs in GKE" (topologies, hosts and chips of v5e and v6e), "Amazon EC2 accelerated computing instances"
(accelerators of P5, Trn1 and Trn2), "GPU optimized virtual machine sizes" of Azure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

AcceleratorName = Literal["h100", "h200", "v5e", "v6e", "trn1", "trn1n", "trn2"]


class Layout(Struct, frozen=True, kw_only=True):
    """One way to have a slice: `hosts` nodes of one machine type, each with so many `chips` of it."""

    hosts: int
    chips: int


_ONE_HOST: Mapping[str, int] = MappingProxyType({"1x1": 1, "2x2": 4, "2x4": 8})
"""Slices that one machine type has whole, with its chips."""
_OF_FOUR = ("2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
"""Slices over several hosts of four chips each."""
TPUS = frozenset({"v5e", "v6e"})
"""Both have the same topologies, on ct5lp and ct6e machines."""
SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("trn1", "trn1n", "trn2"), (1, 4, 8, 16)),
        **dict.fromkeys(("h100", "h200"), tuple(range(1, 9))),
    }
)
"""Accelerators that one worker may have. Those of Trainium are joined in groups of these sizes."""
WHOLE: Mapping[str, int] = MappingProxyType({"trn1": 16, "trn1n": 16, "trn2": 16})
"""Accelerators of a whole node, where only that has the network by which several workers reach each other."""


def topologies() -> tuple[str, ...]:
    """All topologies of a slice, smallest first."""
    return tuple(sorted({*_ONE_HOST, *_OF_FOUR}, key=chips_of))


def chips_of(topology: str) -> int:
    """The chips of a slice: the product of its sides."""
    return math.prod(int(side) for side in topology.split("x"))


def layouts(topology: str) -> tuple[Layout, ...]:
    """The ways to have a slice, fewest hosts first; none for a topology that there is not."""
    return tuple(_layouts(topology))


def _layouts(topology: str) -> Iterator[Layout]:
    if topology in _ONE_HOST:
        yield Layout(hosts=1, chips=_ONE_HOST[topology])
    if topology in _OF_FOUR:
        yield Layout(hosts=chips_of(topology) // 4, chips=4)


def layout_of(topology: str, workers: int, accelerators: int) -> Layout | None:
    """The layout that a file means, where 1 worker and 0 accelerators say nothing; None for a wrong combination."""
    for each in layouts(topology):
        if workers in (1, each.hosts) and accelerators in (0, each.chips):
            return each
    return None
