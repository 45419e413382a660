"""The step that trains: a gang of workers."""

from __future__ import annotations

from typing import ClassVar, Literal

from plimsoll.application.parts import Part
from plimsoll.kinds.adapters import Base
from plimsoll.planning.steps import InputFile, Work
from plimsoll.state.results import Result

Framework = Literal["torch", "jax", "tensorflow", "xgboost", "lightgbm", "ray", "mpi", "none"]
MOST_WORKERS = 100_000
"""Pods that an Indexed Job runs at once. Source: the validation of batch/v1."""


class Topology(Part, frozen=True, kw_only=True):
    """Placement of the workers relative to each other, for targets that know racks."""

    spread: Literal["rack", "node"] | None = None
    pack: Literal["rack", "node"] | None = None


class TrainResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The files of rank 0; `checkpoints` is the number of files in the last checkpoint."""

    checkpoints: int = 0


class TrainGang(Work, frozen=True, kw_only=True):
    """Train one model with all workers together.

    `environment` is the key of the step that creates the environment; `None` means the caller's own python.
    `timeout` is in seconds; `None` sets no limit. `parameters` has the values of variables. `base` is the model that an
    adapter is trained on.
    """

    verb: ClassVar[str] = "train"
    result: ClassVar[type[Result]] = TrainResult
    settings: ClassVar[tuple[str, ...]] = ("train",)
    kept_here: ClassVar[bool] = True
    leaves: ClassVar[bool] = True
    command: str
    framework: Framework
    size: int = 1
    inputs: tuple[InputFile, ...] = ()
    topology: Topology | None = None
    environment: str | None = None
    timeout: float | None = None
    parameters: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    base: Base | None = None

    @property
    def workers(self) -> int:
        """The number of workers in the gang."""
        return self.size

    @property
    def is_isolated(self) -> bool:
        """It is the user's own code."""
        return True
