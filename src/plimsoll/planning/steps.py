"""The plan: steps in order, each with its content key and what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct, field

from plimsoll.state.results import Result


class WorkerResources(Struct, frozen=True, kw_only=True):
    """What one worker of a step holds while it runs.

    `cpu` is in cores; `None` sets no limit and is counted as one core. `memory` is in bytes; `None` sets no limit.
    """

    cpu: float | None = None
    memory: int | None = None
    accelerators: int = 0

    @property
    def cores(self) -> float:
        """Cores that are counted for one worker."""
        return 1.0 if self.cpu is None else self.cpu


class Ingredient(Struct, frozen=True, kw_only=True):
    """One thing that a step's key was made of, so that a change can be named.

    `kind` is one of `command`, `code`, `environment`, `input`, `setting`; `name` says which; `digest` is its content.
    """

    kind: str
    name: str
    digest: str


class InputFile(Struct, frozen=True, kw_only=True):
    """Where a step finds one of its inputs: the result of `step` (whose key is `key`), or one `file` of it."""

    name: str
    step: str
    key: str
    file: str | None = None


class FeatureRequest(Struct, frozen=True, kw_only=True):
    """A feature that a step needs of its target, by the feature's name.

    `setting` is where in its part of the file the step asks for it, `asks` completes the sentence "the step …", and
    `remedy` says what to change where the target lacks the feature.
    """

    feature: str
    setting: tuple[str, ...]
    asks: str
    remedy: str


class Work(Struct, frozen=True, kw_only=True):
    """What a step does. Each kind of part adds its own subclasses; targets dispatch on the subclass.

    `verb` is the first word of the step's name. `result` is the type of what the work leaves. `settings` is where the
    work's settings are below its part of the file. `kept_here` says that the files it leaves are fetched to the
    machine that runs plimsoll, wherever the work was done.
    """

    verb: ClassVar[str]
    result: ClassVar[type[Result]] = Result
    settings: ClassVar[tuple[str, ...]] = ()
    kept_here: ClassVar[bool] = False

    @property
    def workers(self) -> int:
        """How many processes run at once."""
        return 1

    def needed_features(self) -> Iterator[FeatureRequest]:
        """Features of the target without which the work cannot be done."""
        yield from ()


W_co = TypeVar("W_co", bound=Work, covariant=True)


class Step(Struct, Generic[W_co], frozen=True, kw_only=True):
    """One piece of work for one part of the file. The same key always gives the same result, on any target.

    `part` is the part's name in the file; `needs` are names of earlier steps.
    """

    part: str
    key: str
    work: W_co
    needs: tuple[str, ...] = ()
    resources: WorkerResources = WorkerResources()
    retries: int = 0
    ingredients: tuple[Ingredient, ...] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """Verb and part, such as `train/triage`."""
        return f"{self.work.verb}/{self.part}"

    @property
    def verb(self) -> str:
        """What is done: environment, fetch, run, train, register, serve, score, or what a kind adds."""
        return self.work.verb

    @property
    def workers(self) -> int:
        """How many processes run at once."""
        return self.work.workers


AnyStep = Step[Work]


class Plan(Struct, frozen=True, kw_only=True):
    """The steps of an application on a target, each after all it needs."""

    application: str
    target: str
    steps: tuple[AnyStep, ...]

    def step(self, name: str) -> AnyStep:
        """The step of that name. Raises KeyError when the plan has none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
