"""The application file as frozen types: the one source of the loader, the JSON Schema and the docs.

Every field's description stands here once and is shown by editors (through `plimsoll schema`) and by error messages.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from plimsoll.application.scalars import Bound, Duration, Memory, ModelReference, Name, Sha256
from plimsoll.decoding import decodable

API_VERSION = "plimsoll.dev/v1alpha1"

Framework = Literal["torch", "jax", "tensorflow", "xgboost", "lightgbm", "ray", "mpi", "none"]
Command = Annotated[str, Meta(min_length=1, description="a command line of your own, run in the file's directory")]
Inputs = Annotated[
    tuple[str, ...],
    Meta(
        description="datasets by name, or one file of a dataset as name/file",
        examples=[["features/train.parquet"]],
    ),
]
Code = Annotated[
    tuple[str, ...],
    Meta(
        description=(
            "further files, directories or glob patterns whose change makes the step run again; "
            "the scripts that the command names and the local modules they import are found without it"
        )
    ),
]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every part of the file has in common: known keys only, and never changed after loading."""


class Metadata(Part, frozen=True, kw_only=True):
    """What the application is called."""

    name: Name


class Environment(Part, frozen=True, kw_only=True):
    """What the commands run in: a requirements file, an image, or (with neither) the caller's own python."""

    requirements: (
        Annotated[str, Meta(description="a pip requirements file; a cached environment is made for it")] | None
    ) = None
    image: Annotated[str, Meta(description="a container image, where the target runs containers")] | None = None


class Resources(Part, frozen=True, kw_only=True):
    """What one worker needs."""

    cpu: Annotated[float, Meta(gt=0, description="processor cores; a limit when given, else counted as one")] | None = (
        None
    )
    memory: Memory | None = None
    accelerators: Annotated[int, Meta(ge=0, description="whole accelerators")] = 0


class Topology(Part, frozen=True, kw_only=True):
    """How workers lie to each other; used where the target knows racks."""

    spread: Literal["rack", "node"] | None = None
    pack: Literal["rack", "node"] | None = None


class Dataset(Part, frozen=True, kw_only=True):
    """Either a source (`source`) or a step (`run`, `inputs`, `outputs`)."""

    source: Annotated[str, Meta(min_length=1, description="a path, or an https://, s3:// or gs:// address")] | None = (
        None
    )
    sha256: Sha256 | None = None
    run: Command | None = None
    inputs: Inputs = ()
    outputs: Annotated[tuple[str, ...], Meta(description="files that the step leaves in $PLIMSOLL_OUTPUT")] = ()
    code: Code = ()
    resources: Resources = Resources()
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    timeout: Duration | None = None
    target: Name | None = None


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
    ] = {}


class WeightedModel(Part, frozen=True, kw_only=True):
    """One version of a model and its share of the traffic."""

    model: ModelReference
    weight: Annotated[int, Meta(ge=0, le=100, description="per cent of the requests")]
    headers: Annotated[
        dict[str, str],
        Meta(description="a request that has all of these goes to this version, whatever the weights say"),
    ] = {}
    shadow: Annotated[
        int, Meta(ge=0, le=100, description="per cent of the requests that it gets a copy of; nobody sees its answers")
    ] = 0


class Scale(Part, frozen=True, kw_only=True):
    """How many replicas a service may have."""

    min: Annotated[int, Meta(ge=0)] = 1
    max: Annotated[int, Meta(ge=1)] = 1
    concurrency: Annotated[int, Meta(ge=1, description="requests under way per replica")] = 32


class Latency(Part, frozen=True, kw_only=True):
    """What a service promises."""

    p99: Duration


class Drift(Part, frozen=True, kw_only=True):
    """What live inputs and outputs are compared with."""

    reference: Annotated[str, Meta(description="a CSV or Parquet file of a dataset, as name/file")]


class Telemetry(Part, frozen=True, kw_only=True):
    """What a service writes of its requests, beside its metrics."""

    access: Annotated[bool, Meta(description="a line of JSON for each request")] = False
    audit: Annotated[bool, Meta(description="a line for each request: who, which model digest, which verdict")] = False
    payloads: Annotated[bool, Meta(description="the audit log has the tensors' values as well")] = False
    traces: Annotated[bool, Meta(description="OpenTelemetry spans, sent as the variables OTEL_* say")] = False


class Service(Part, frozen=True, kw_only=True):
    """A model behind an address, speaking the Open Inference Protocol v2."""

    model: ModelReference | Annotated[tuple[WeightedModel, ...], Meta(min_length=1)]
    scale: Scale | None = None
    latency: Latency | None = None
    drift: Drift | None = None
    telemetry: Telemetry = Telemetry()
    resources: Resources = Resources()
    target: Name | None = None


class Batch(Part, frozen=True, kw_only=True):
    """A file scored row by row."""

    model: ModelReference
    input: Annotated[str, Meta(description="a CSV or Parquet file of a dataset, as name/file")]
    resources: Resources = Resources()
    target: Name | None = None


class Index(Part, frozen=True, kw_only=True):
    """Documents made searchable."""

    documents: str
    text: str
    embed: str


class Assistant(Part, frozen=True, kw_only=True):
    """A language model that answers from an index."""

    index: str
    llm: str


class Edge(Part, frozen=True, kw_only=True):
    """Services kept in step with a device."""

    services: tuple[str, ...]
    sync: Duration = "60s"


class TargetName(Part, frozen=True, kw_only=True):
    """What a target's name in this file stands for."""

    context: str | None = None


class Spec(Part, frozen=True, kw_only=True):
    """The parts of the application, by kind and name."""

    environment: Environment = Environment()
    targets: dict[Name, TargetName] = {}
    datasets: dict[Name, Dataset] = {}
    models: dict[Name, Model] = {}
    services: dict[Name, Service] = {}
    batches: dict[Name, Batch] = {}
    indexes: dict[Name, Index] = {}
    assistants: dict[Name, Assistant] = {}
    edges: dict[Name, Edge] = {}


@decodable
class Application(Part, frozen=True, kw_only=True):
    """One application file."""

    api_version: Literal["plimsoll.dev/v1alpha1"]
    kind: Literal["Application"]
    metadata: Metadata
    spec: Spec
