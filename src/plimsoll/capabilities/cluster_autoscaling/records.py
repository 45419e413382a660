"""What the probe of the cluster autoscaler records."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, CommonRecord, PodState


class PoolNode(Struct, frozen=True, kw_only=True):
    """What distinguishes a machine from a node that is only an object; `annotations` are the keys of simulators."""

    name: str
    provider: str
    boot: str
    kubelet: str
    annotations: tuple[str, ...]


class Pool(CheckRecord, frozen=True, kw_only=True, tag="pool"):
    """The node pool under test, its accelerators' resource, and its nodes by UID before the test."""

    name: str
    resource: str
    nodes: dict[str, PoolNode]


class PodWaiting(CheckRecord, frozen=True, kw_only=True, tag="waiting"):
    """A pod that no node of the pool has room for; it prints the product of `factors`."""

    pod: str
    factors: tuple[int, int]


class PodRan(PodState, CheckRecord, frozen=True, kw_only=True, tag="ran"):
    """The waiting pod once it is said to run, and its log."""

    log: str


class Commanded(CheckRecord, frozen=True, kw_only=True, tag="command"):
    """The pod's answer over the network to a request for the product of `factors`."""

    factors: tuple[int, int]
    answer: str


class Grown(CheckRecord, frozen=True, kw_only=True, tag="grown"):
    """The pool's nodes while the pod runs, and the events of the pod."""

    nodes: dict[str, PoolNode]
    events: tuple[str, ...]


class Shrunk(CheckRecord, frozen=True, kw_only=True, tag="shrunk"):
    """The pool's nodes after the pods were deleted."""

    nodes: dict[str, PoolNode]


AutoscalingRecord = Pool | PodWaiting | PodRan | Commanded | Grown | Shrunk | CommonRecord
