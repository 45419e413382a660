"""Models: trained by a gang of workers, registered with their lineage, and judged by what they must reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Code, Command, Inputs, Part, Resources
from plimsoll.application.scalars import Bound, Duration, Name
from plimsoll.application.shape import suggest_name
from plimsoll.application.workspace import NamedCommand
from plimsoll.kinds import ingredients
from plimsoll.kinds.dataset import DATASETS, Fetch
from plimsoll.kinds.environment import environment_step
from plimsoll.planning.keys import setting, text_digest
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner, seconds
from plimsoll.planning.steps import AnyStep, FeatureRequest, Ingredient, InputFile, Step, Work
from plimsoll.state.results import Result

Framework = Literal["torch", "jax", "tensorflow", "xgboost", "lightgbm", "ray", "mpi", "none"]
MPI = "mpi"
"""The feature of targets on which MPI's launcher starts workers."""


class Topology(Part, frozen=True, kw_only=True):
    """How workers lie to each other; used where the target knows racks."""

    spread: Literal["rack", "node"] | None = None
    pack: Literal["rack", "node"] | None = None


class Train(Part, frozen=True, kw_only=True):
    """How a model is trained: a gang of workers that start together or not at all."""

    run: Command
    inputs: Inputs = ()
    framework: Framework = "none"
    workers: Annotated[int, Meta(ge=1, le=1024, description="processes that train one model together")] = 1
    resources: Resources = Resources()
    retries: Annotated[int, Meta(ge=0, le=100, description="new starts from the last checkpoint after a failure")] = 0
    topology: Topology | None = None
    code: Code = ()
    timeout: Duration | None = None
    target: Name | None = None


class Model(Part, frozen=True, kw_only=True):
    """A trained model and what it must reach to be served."""

    train: Train
    accept: Annotated[
        dict[str, Bound], Meta(description="bounds on figures of metrics.json, all of which must hold")
    ] = {}  # noqa: RUF012 - msgspec copies it


class TrainResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What rank 0 left; `checkpoints` counts the files of the last checkpoint."""

    checkpoints: int = 0


class TrainGang(Work, frozen=True, kw_only=True):
    """Train one model with all workers together.

    `environment` is the key of the step that made the environment, `None` means the caller's own python. `timeout` is
    in seconds, `None` sets no limit.
    """

    verb: ClassVar[str] = "train"
    result: ClassVar[type[Result]] = TrainResult
    settings: ClassVar[tuple[str, ...]] = ("train",)
    kept_here: ClassVar[bool] = True
    command: str
    framework: Framework
    size: int = 1
    inputs: tuple[InputFile, ...] = ()
    topology: Topology | None = None
    environment: str | None = None
    timeout: float | None = None

    @property
    def workers(self) -> int:
        """The size of the gang."""
        return self.size

    def needed_features(self) -> Iterator[FeatureRequest]:
        """MPI needs a launcher that starts the workers."""
        if self.framework == "mpi":
            remedy = "use torch, jax or none, or train on this machine"
            yield FeatureRequest(feature=MPI, setting=("framework",), asks="trains with framework mpi", remedy=remedy)


class RegisterResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The registered version. `refusals` say which bounds it misses; `reference` is where pods pull it."""

    version: int
    digest: str
    accepted: bool
    refusals: tuple[str, ...] = ()
    reference: str | None = None

    def figure(self) -> str:
        """The version, and whether it may be served."""
        words = "accepted" if self.accepted else "not accepted: " + "; ".join(self.refusals)
        return f"version {self.version}, {words}"

    def summary(self) -> Mapping[str, object]:
        """For `--json`."""
        return {
            "version": self.version,
            "digest": self.digest,
            "metrics": self.metrics,
            "accepted": self.accepted,
            "refusals": self.refusals,
        }


class Register(Work, frozen=True, kw_only=True):
    """Put a trained model into the registry with its lineage, signed, and judge its acceptance.

    `lineage` is what training was made of, and the sources behind its inputs (kind `source`).
    """

    verb: ClassVar[str] = "register"
    result: ClassVar[type[Result]] = RegisterResult
    model: str
    train: str
    train_key: str
    command: str
    framework: Framework
    accept: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    lineage: tuple[Ingredient, ...] = ()


class ModelKind(Kind[Model]):
    """`spec.models`."""

    key = "models"
    part = Model
    works = (TrainGang, Register)

    def check(self, file: ApplicationFile) -> None:
        """Inputs are there, and a topology is one of two."""
        for name, model in self.of(file.application).items():
            at = (*self.place(name), "train")
            DATASETS.check_inputs(file, model.train.inputs, *at, "inputs")
            topology = model.train.topology
            if topology and (topology.spread is None) == (topology.pack is None):
                raise file.error("topology is one of `spread` and `pack`", "", *at, "topology")

    def placement(self, part: Model) -> tuple[str | None, tuple[str, ...]]:
        """Where it is trained."""
        return part.train.target, ("train", "target")

    def commands(self, name: str, part: Model) -> Iterable[NamedCommand]:
        """The training."""
        at = (*self.place(name), "train")
        yield NamedCommand(step=f"{TrainGang.verb}/{name}", command=part.train.run, code=part.train.code, at=at)

    def plan(self, name: str, part: Model, planner: Planner) -> AnyStep:
        """Train, then register."""
        train = self._train(name, part.train, planner)
        work = Register(
            model=name,
            train=train.name,
            train_key=train.key,
            accept=part.accept,
            command=part.train.run,
            framework=part.train.framework,
            lineage=(*train.ingredients, *_behind(planner, train)),
        )
        made_of = [ingredients.of_step(train), setting("accept", part.accept)]
        return planner.add(name, work, made_of, needs=(train.name,))

    def check_reference(self, file: ApplicationFile, reference: str, *at: str | int) -> None:
        """Raise FileError for a reference such as `triage@2` to a model that the file does not have."""
        models = self.of(file.application)
        name = reference.partition("@")[0]
        if name not in models:
            raise file.error(f"there is no model '{name}'", suggest_name(name, models), *at)

    def registered(self, planner: Planner, reference: str) -> tuple[AnyStep | None, list[Ingredient]]:
        """The step that registers a model, unless a version is pinned, and what the reference adds to a key."""
        ours = ingredients.of_runtime(planner)
        name, _, version = reference.partition("@")
        if version:
            return None, [Ingredient(kind="input", name=reference, digest=text_digest(reference)), *ours]
        register = planner.step_of(self, name)
        return register, [ingredients.of_step(register), *ours]

    def _train(self, name: str, part: Train, planner: Planner) -> Step[TrainGang]:
        inputs = DATASETS.inputs(planner, part.inputs)
        environment = environment_step(planner)
        work = TrainGang(
            command=part.run,
            framework=part.framework,
            size=part.workers,
            inputs=inputs,
            topology=part.topology,
            environment=environment.key if environment else None,
            timeout=seconds(part.timeout),
        )
        made_of = ingredients.of_command(planner, f"{TrainGang.verb}/{name}", part.run, inputs)
        made_of += [setting("framework", part.framework), setting("workers", part.workers)]
        return planner.add(
            name,
            work,
            made_of,
            needs=ingredients.needed_by_command(inputs, environment),
            resources=part.resources,
            retries=part.retries,
        )


def _behind(planner: Planner, step: AnyStep) -> tuple[Ingredient, ...]:
    """The sources and the code that a step's inputs were made from, through all the steps between."""
    found: dict[str, Ingredient] = {}
    for name in step.needs:
        before = planner.steps[name]
        kinds = {"input": "source"} if isinstance(before.work, Fetch) else {"code": "code"}
        parts = [part for part in before.ingredients if part.kind in kinds]
        found |= {part.name: Ingredient(kind=kinds[part.kind], name=part.name, digest=part.digest) for part in parts}
        found |= {part.name: part for part in _behind(planner, before)}
    return tuple(found.values())


MODELS = ModelKind()
