"""How this machine does each kind of work: one module a kind, and the table that says which."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from plimsoll.planning.steps import (
    Fetch,
    MakeEnvironment,
    Register,
    RunCommand,
    Score,
    Serve,
    TrainGang,
)
from plimsoll.targets.local.attempt import Attempt, Progress
from plimsoll.targets.local.work import command, environment, fetch, register, score, serve, train

WORK: Mapping[type, Callable[[Attempt], Progress]] = {
    MakeEnvironment: environment.make_environment,
    Fetch: fetch.fetch,
    RunCommand: command.run_command,
    TrainGang: train.train,
    Register: register.register,
    Serve: serve.serve,
    Score: score.score,
}
