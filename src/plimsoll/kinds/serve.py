"""The work of a service: what a server is started with, what it needs of a target, and what its test gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from plimsoll.application.parts import Part
from plimsoll.indexes.names import PREFIX
from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.kinds.llm import PreparedLlm, needed_extras
from plimsoll.kinds.predictors import ServedStep
from plimsoll.kinds.service_settings import SampleInput, Scale, Telemetry
from plimsoll.kinds.tables import extras_of_table
from plimsoll.planning.steps import FeatureRequest, InputFile, Work
from plimsoll.runtime.server.identities.settings import AuthSettings
from plimsoll.runtime.server.tls.settings import TlsSettings
from plimsoll.state.results import Result

SCALE_TO_ZERO = "scale-to-zero"
"""The feature of targets on which an idle service may have no server."""
WAITING_ROLLOUT = "waiting-rollout"
"""The feature of targets on which a new version may wait for its promotion while the one before goes on."""
OWN_FRONT = "own-front"
"""The feature of targets whose servers encrypt by themselves, and know the names that they go by."""
CALLERS_IN_PLACE = "callers-in-place"
"""The feature of targets whose servers read the files by which callers are known where they lie."""
CLUSTER_CALLERS = "cluster-callers"
"""The feature of targets that know whose a token of theirs is."""
SAMPLES_EXPLANATIONS = "sampled-explanations"
"""The feature of targets whose servers explain models that are no trees."""
UNROUTED = "a Service leads to replicas of language models, whatever they have read"
"""What carries requests to replicas where nothing of the cluster leads to them by more."""
LOOPBACK = "127.0.0.1"
CHAT = "/v1/chat/completions"
Rollout = Literal["accepted", "promote"]


class ServeResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The test of a service with a real request: the model that answered, the time to ready and the latency.

    `digest` is that of the version with the largest share; `url` is the address while the service is running.
    `example` is the request that it was tested with, as JSON; empty for a long one. It goes to `path`, which is empty
    for the path of the model.
    """

    model: str = ""
    digest: str = ""
    seconds_to_ready: float = 0.0
    latency_ms: float = 0.0
    url: str | None = None
    example: str = ""
    path: str = ""

    def figure(self) -> str:
        """The latency, and the address or the time to ready."""
        ready = f", ready after {self.seconds_to_ready:.1f} s" if self.seconds_to_ready else ""
        return f"answered in {self.latency_ms:.1f} ms{' at ' + self.url if self.url else ready}"

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`, without the current address of a running service."""
        return {"model": self.model, "seconds_to_ready": self.seconds_to_ready, "latency_ms": self.latency_ms}


class SampledExplanations(Part, frozen=True, kw_only=True):
    """Explanations by shap: the table of the background, the output, and the budget of a request in `seconds`."""

    background: InputFile
    evaluations: int
    seconds: float
    output: str = ""


class ModelShare(Part, frozen=True, kw_only=True):
    """One version of a service's model and its share of the traffic.

    `model` and `register_key` are as in `Serve`; `weight` and `shadow` are percentages of the requests.
    """

    model: str
    register_key: str | None = None
    weight: int = 100
    headers: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    shadow: int = 0


class Serve(Work, frozen=True, kw_only=True):
    """Start a service and test it with a real request.

    `model` is the reference in the file: a name, or `name@version`; of several, the one with the largest share.
    `register_key` is the key of the step that registers the model in this plan; `None` when the file pins a version.
    `shares` are all versions that share the traffic; empty for a single one. `latency` is the promised 99th percentile
    in seconds. `reference` is the table that drift is judged against. `explain` says how answers are
    explained where that is not by trees. `sample` has inputs for the test, by name.
    `own` is the user's code that answers, with the model or without; `pipeline` are steps that answer one after
    another, `llm` is a language model, with `assistant` that of the assistant. Without a model `model` is empty.
    `environment` is the key of the step that creates their environment. `host` and `port` are for a service that stays
    up on this machine; a port of 0 stands for a free one. `fails_over` says that requests go to another target while
    its servers do not answer.
    """

    verb: ClassVar[str] = "serve"
    result: ClassVar[type[Result]] = ServeResult
    service: str
    model: str
    register_key: str | None = None
    shares: tuple[ModelShare, ...] = ()
    scale: Scale | None = None
    reference: InputFile | None = None
    telemetry: Telemetry = Telemetry()
    latency: float | None = None
    sample: dict[str, SampleInput] = {}  # noqa: RUF012 - msgspec copies it
    own: ServedStep | None = None
    pipeline: tuple[ServedStep, ...] = ()
    environment: str | None = None
    llm: PreparedLlm | None = None
    assistant: AssistantPlan | None = None
    auth: AuthSettings | None = None
    tls: TlsSettings | None = None
    hosts: tuple[str, ...] = ()
    explain: SampledExplanations | None = None
    fails_over: bool = False

    @property
    def served_name(self) -> str:
        """What the model is called in the protocol's paths: by its own name, or that of the service without one."""
        if self.assistant is not None:
            return self.assistant.name
        return self.llm.name if self.llm is not None else self.model.partition("@")[0] or self.service

    host: str = LOOPBACK
    port: int = 0
    rollout: Rollout = "accepted"

    @property
    def is_isolated(self) -> bool:
        """A server is Plimsoll's own; the user's code that answers is not."""
        return self.own is not None or any(step.command for step in self.pipeline)

    @property
    def in_pods(self) -> Scale:
        """How many pods answer on a cluster: as the file says, or as many as the language model has replicas."""
        replicas = self.llm.replicas if self.llm is not None else 1
        return self.scale or Scale(min=replicas, max=replicas)

    @property
    def has_replicas(self) -> bool:
        """Whether several engines answer that have read different things."""
        return self.llm is not None and self.llm.replicas > 1

    @property
    def searched(self) -> str:
        """What the versions of the index are called that it searches; another model's name, or empty, without one."""
        return self.assistant.index if self.assistant is not None else self.model

    @property
    def example_path(self) -> str:
        """Where its example goes; empty for the path of the model."""
        return CHAT if self.llm is not None else ""

    @property
    def how_to_ask(self) -> str:
        """What to write to get an answer of it."""
        if self.llm is not None:
            return "the OpenAI API is at /v1"
        if self.model.startswith(PREFIX):
            return f"POST /v2/indexes/{self.model.removeprefix(PREFIX).partition('@')[0]}/search"
        return f"plimsoll predict {self.service} --input FILE"

    @property
    def callers(self) -> str:
        """Who may ask it, in words; empty for everybody who reaches it."""
        auth, by = self.auth, []
        if self.tls is not None and self.tls.clients:
            by.append("certificates")
        if auth is not None:
            by += ["tokens of its file"] if auth.tokens else []
            by += [f"tokens of {auth.jwt.issuer}"] if auth.jwt is not None else []
            by += ["tokens of the cluster"] if auth.kubernetes is not None else []
        return f"known ones, by {' and '.join(by)}" if by else ""

    @property
    def starts_processes(self) -> bool:
        """Whether the server starts others, which need time of their own to come up."""
        return self.own is not None or bool(self.pipeline) or self.llm is not None

    @property
    def follows(self) -> str:
        """The model whose newly accepted versions the service is for; empty where the file names versions."""
        return "" if self.shares or "@" in self.model else self.model

    def needed_features(self) -> Iterator[FeatureRequest]:
        """Zero servers need a target that starts one for a request; a rollout that waits, one that can let it wait."""
        if self.scale is not None and self.scale.min == 0:
            yield FeatureRequest(
                feature=SCALE_TO_ZERO, setting=("scale", "min"), asks="scales to zero servers", remedy="set min: 1"
            )
        if self.rollout == "promote":
            yield FeatureRequest(
                feature=WAITING_ROLLOUT,
                setting=("rollout",),
                asks="lets new versions wait for their promotion",
                remedy="leave rollout out, or name the served version, such as model: NAME@1",
            )
        for word, asks in (("tls", "encrypts its connections"), ("hosts", "answers for some names only")):
            if getattr(self, word):
                yield FeatureRequest(
                    feature=OWN_FRONT,
                    setting=(word,),
                    asks=asks,
                    remedy=f"leave {word} out there: a gateway before the service does it",
                )
        if self.auth is not None and self.auth.kubernetes is not None:
            yield FeatureRequest(
                feature=CLUSTER_CALLERS,
                setting=("auth", "kubernetes"),
                asks="asks a cluster who its callers are",
                remedy="name callers by tokens or jwt there",
            )
        if self.explain is not None:
            yield FeatureRequest(
                feature=SAMPLES_EXPLANATIONS,
                setting=("explain",),
                asks="explains its answers by shap",
                remedy="leave explain out there: models of trees are explained without it",
            )
        if self.llm is not None:
            yield FeatureRequest(
                feature=engine_feature(self.llm.engine),
                setting=("assistant",) if self.assistant is not None else ("llm",),
                asks=f"serves a language model by {self.llm.engine}",
                remedy="name another engine, or use another target",
            )

    def needed_extras(self) -> Iterator[str]:
        """The server's, and those of what it watches."""
        yield "serve"
        if self.model.startswith(PREFIX) or self.assistant is not None:
            yield "retrieval"
        if self.reference is not None:
            yield "drift"
            yield from extras_of_table(self.reference)
        if self.explain is not None:
            yield "shap"
            yield from extras_of_table(self.explain.background)
        if self.telemetry.traces:
            yield "otel"
        if self.llm is not None:
            yield from needed_extras(self.llm)
        if self.auth is not None and self.auth.jwt is not None:
            yield "jwt"


def engine_feature(engine: str) -> str:
    """The feature of targets on which an engine can serve language models."""
    return f"llms by {engine}"
