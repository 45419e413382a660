"""How each kind of work is done on a cluster: one module a kind, one line in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from plimsoll.planning.steps import Fetch, MakeEnvironment, Register, RunCommand, Score, Serve, TrainGang
from plimsoll.targets.kubernetes.context import Attempt, Progress
from plimsoll.targets.kubernetes.work.environment import make_environment
from plimsoll.targets.kubernetes.work.fetch import fetch
from plimsoll.targets.kubernetes.work.pods import run_in_pods
from plimsoll.targets.kubernetes.work.register import register
from plimsoll.targets.kubernetes.work.serve import serve

WORK: Mapping[type, Callable[[Attempt], Progress]] = MappingProxyType(
    {
        MakeEnvironment: make_environment,
        Fetch: fetch,
        RunCommand: run_in_pods,
        TrainGang: run_in_pods,
        Register: register,
        Serve: serve,
        Score: run_in_pods,
    }
)
