"""How a cluster carries out each kind of work: one module for each, and the table that says which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from plimsoll.kinds.batch import Score
from plimsoll.kinds.brought import Bring
from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.failover import FailOver, Standby
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.llm import PrepareLlm
from plimsoll.kinds.register import Register
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.steps import Work
from plimsoll.targets.attempt import Progress, W
from plimsoll.targets.kubernetes.attempt import ClusterAttempt
from plimsoll.targets.kubernetes.work.environment import make_environment
from plimsoll.targets.kubernetes.work.failover import fail_over, stand_by
from plimsoll.targets.kubernetes.work.fetch import fetch
from plimsoll.targets.kubernetes.work.local import done_here
from plimsoll.targets.kubernetes.work.pods import run_in_pods
from plimsoll.targets.kubernetes.work.register import register, release
from plimsoll.targets.kubernetes.work.sagemaker import train
from plimsoll.targets.kubernetes.work.serve import serve

Executor = Callable[[ClusterAttempt[Any]], Progress]
"""Carries out one kind of work; `executes` has held it against the type of the work."""


def executes(work: type[W], execute: Callable[[ClusterAttempt[W]], Progress]) -> tuple[type[Work], Executor]:
    """A line of the table: mypy checks that the function takes attempts at this work."""
    return work, execute


EXECUTORS: Mapping[type[Work], Executor] = MappingProxyType(
    dict(
        (
            executes(MakeEnvironment, make_environment),
            executes(Fetch, fetch),
            executes(RunCommand, run_in_pods),
            executes(TrainGang, train),
            executes(Bring, done_here),
            executes(Register, register),
            executes(BuildIndex, run_in_pods),
            executes(ReleaseIndex, release),
            executes(PrepareLlm, done_here),
            executes(Serve, serve),
            executes(Standby, stand_by),
            executes(FailOver, fail_over),
            executes(Score, run_in_pods),
        )
    )
)
