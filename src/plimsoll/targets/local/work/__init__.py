"""Executors of this machine: one module for each type of work, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from plimsoll.kinds.batch import Score
from plimsoll.kinds.brought import Bring
from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.llm import PrepareLlm
from plimsoll.kinds.register import Register
from plimsoll.kinds.screen import ScreenRows
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.steps import Work
from plimsoll.targets.attempt import Progress, W
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.work import (
    bring,
    command,
    environment,
    fetch,
    index,
    llm,
    register,
    release,
    score,
    screen,
    serve,
    train,
)

Executor = Callable[[LocalAttempt[Any]], Progress]
"""Runs one type of work (`Any`: the table holds executors of different types, which `executes` has checked)."""


def executes(work: type[W], execute: Callable[[LocalAttempt[W]], Progress]) -> tuple[type[Work], Executor]:
    """A line of the table; mypy checks that the function takes attempts at this type of work."""
    return work, execute


EXECUTORS: Mapping[type[Work], Executor] = dict(
    (
        executes(MakeEnvironment, environment.make_environment),
        executes(Fetch, fetch.fetch),
        executes(RunCommand, command.run_command),
        executes(TrainGang, train.train),
        executes(Bring, bring.bring),
        executes(Register, register.register),
        executes(PrepareLlm, llm.prepare_llm),
        executes(Serve, serve.serve),
        executes(Score, score.score),
        executes(ScreenRows, screen.screen),
        executes(BuildIndex, index.build_index),
        executes(ReleaseIndex, release.release),
    )
)
