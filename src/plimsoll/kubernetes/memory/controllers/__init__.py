"""Small controllers that a test switches on with `MemoryCluster.run`: what makes pods of workloads, and what runs them.

Each looks at one object after a change, and does nothing that is done already. None waits for a time to pass.
"""

from plimsoll.kubernetes.memory.controllers.deployments import Deployments
from plimsoll.kubernetes.memory.controllers.gateways import Gateways
from plimsoll.kubernetes.memory.controllers.jobs import Jobs
from plimsoll.kubernetes.memory.controllers.jobsets import JobSets
from plimsoll.kubernetes.memory.controllers.kubelet import (
    ContainerWaiting,
    Ended,
    Kubelet,
    Program,
    Running,
    SaysReady,
    at_once,
    usual,
)
from plimsoll.kubernetes.memory.controllers.loop import Controller
from plimsoll.kubernetes.memory.controllers.queues import Queues, suspend_queued
from plimsoll.kubernetes.memory.controllers.scheduling import PodScheduler

__all__ = [
    "ContainerWaiting",
    "Controller",
    "Deployments",
    "Ended",
    "Gateways",
    "JobSets",
    "Jobs",
    "Kubelet",
    "PodScheduler",
    "Program",
    "Queues",
    "Running",
    "SaysReady",
    "at_once",
    "suspend_queued",
    "usual",
    "workloads",
]


def workloads(program: Program = usual, says_ready: SaysReady = at_once) -> tuple[Controller, ...]:
    """What every cluster has to run pods of Deployments and Jobs: see `Kubelet` for both arguments."""
    return PodScheduler(), Kubelet(program, says_ready), Jobs(), Deployments()
