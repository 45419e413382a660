"""The plan: steps in order, each with its content key and what it needs."""

from __future__ import annotations

from msgspec import Struct, field

from plimsoll.application.model import Framework, Scale, Telemetry, Topology


class Share(Struct, frozen=True, kw_only=True):
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


class MakeEnvironment(Struct, frozen=True, kw_only=True, tag_field="do", tag="environment"):
    """Make the Python environment of a requirements file. `requirements` is a path relative to the application file."""

    requirements: str


class Fetch(Struct, frozen=True, kw_only=True, tag_field="do", tag="fetch"):
    """Bring a source to the target and check its digest. `source` is a path or an address."""

    source: str
    sha256: str | None = None


class RunCommand(Struct, frozen=True, kw_only=True, tag_field="do", tag="run"):
    """Run one command that turns inputs into outputs.

    `environment` is the key of the step that made the environment, `None` means the caller's own python. `timeout` is
    in seconds, `None` sets no limit.
    """

    command: str
    inputs: tuple[InputFile, ...] = ()
    outputs: tuple[str, ...] = ()
    environment: str | None = None
    timeout: float | None = None


class TrainGang(Struct, frozen=True, kw_only=True, tag_field="do", tag="train"):
    """Train one model with all workers together; `environment` and `timeout` as in `RunCommand`."""

    command: str
    framework: Framework
    workers: int
    inputs: tuple[InputFile, ...] = ()
    topology: Topology | None = None
    environment: str | None = None
    timeout: float | None = None


class Register(Struct, frozen=True, kw_only=True, tag_field="do", tag="register"):
    """Put a trained model into the registry with its lineage, signed, and judge its acceptance.

    `lineage` is what training was made of, and the sources behind its inputs (kind `source`).
    """

    model: str
    train: str
    train_key: str
    command: str
    framework: Framework
    accept: dict[str, str] = {}
    lineage: tuple[Ingredient, ...] = ()


class ModelShare(Struct, frozen=True, kw_only=True):
    """One version of a service's model and its part of the traffic.

    `model` and `register_key` as in `Serve`; `weight` and `shadow` are per cent of the requests.
    """

    model: str
    register_key: str | None = None
    weight: int = 100
    headers: dict[str, str] = {}
    shadow: int = 0


class Serve(Struct, frozen=True, kw_only=True, tag_field="do", tag="serve"):
    """Start a service and prove it with a real request.

    `model` is what the file says: a name, or `name@version`; of several, the one with the largest share.
    `register_key` is the key of the step that registers the model in this plan, `None` when the file pins a version.
    `shares` are all versions where the traffic is shared. `latency` is the promised 99th percentile in seconds.
    `reference` is the table that drift is judged against.
    """

    service: str
    model: str
    register_key: str | None = None
    shares: tuple[ModelShare, ...] = ()
    scale: Scale | None = None
    reference: InputFile | None = None
    telemetry: Telemetry = Telemetry()
    latency: float | None = None


class Score(Struct, frozen=True, kw_only=True, tag_field="do", tag="score"):
    """Score a file with a model in bounded memory; `model` and `register_key` as in `Serve`."""

    batch: str
    model: str
    input: InputFile
    register_key: str | None = None


Work = MakeEnvironment | Fetch | RunCommand | TrainGang | Register | Serve | Score


class Step(Struct, frozen=True, kw_only=True):
    """One piece of work. The same key always gives the same result, on any target.

    `name` is verb and part (`train/triage`), `needs` are names of earlier steps.
    """

    name: str
    key: str
    work: Work
    needs: tuple[str, ...] = ()
    share: Share = Share()
    retries: int = 0
    ingredients: tuple[Ingredient, ...] = field(default_factory=tuple)

    @property
    def verb(self) -> str:
        """What is done: environment, fetch, run, train, register, serve or score."""
        return self.name.partition("/")[0]

    @property
    def part(self) -> str:
        """The part of the application file that the step belongs to."""
        return self.name.partition("/")[2]

    @property
    def workers(self) -> int:
        """How many processes run at once."""
        return self.work.workers if isinstance(self.work, TrainGang) else 1


class Plan(Struct, frozen=True, kw_only=True):
    """The steps of an application on a target, each after all it needs."""

    application: str
    target: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def step(self, name: str) -> Step:
        """The step of that name. Raises KeyError when the plan has none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
