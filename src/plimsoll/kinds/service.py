"""Services: serve a model, or several versions of it with shares of the traffic, at an address."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Literal

from msgspec import Meta, to_builtins
from msgspec.structs import replace

from plimsoll.application.isolation import STRICT, Isolated, check_isolation, settled
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Code, Command, Part, Resources
from plimsoll.application.predictors import function_script
from plimsoll.application.scalars import ModelReference, Name, duration_in_seconds
from plimsoll.application.workspace import NamedCommand, NamedSource
from plimsoll.indexes.names import versions_of
from plimsoll.kinds import ingredients
from plimsoll.kinds.accelerators import check_accelerators, settled_resources
from plimsoll.kinds.assistant import ASKS_SERVICES, ASSISTANTS, AssistantPlan
from plimsoll.kinds.dataset import DATASETS
from plimsoll.kinds.environment import environment_step
from plimsoll.kinds.failover import FailOver, Standby, check_failover, failover_of, standby_of
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.llm import LLMS, PreparedLlm
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.predictors import (
    PipelineStep,
    ServedStep,
    Tensors,
    commands,
    planned,
    planned_pipeline,
)
from plimsoll.kinds.serve import CALLERS_IN_PLACE, LOOPBACK, ModelShare, Rollout, SampledExplanations, Serve
from plimsoll.kinds.service_callers import check_callers, files_of, ingredients_of, settings_of, tls_of
from plimsoll.kinds.service_checks import check_explain, check_shares, check_what_answers
from plimsoll.kinds.service_settings import (
    Auth,
    Drift,
    Explain,
    Failover,
    Latency,
    SampleInput,
    Scale,
    Telemetry,
    Tls,
    WeightedModel,
)
from plimsoll.kinds.tables import check_table
from plimsoll.planning.keys import setting
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner, seconds
from plimsoll.planning.steps import AnyStep, Ingredient, Work

QUESTION = {"query": SampleInput(shape=(1,), data=("What is this about?",))}
"""What a service of an index is tested with."""


class Service(Part, frozen=True, kw_only=True):
    """A model, the user's own code, or both, served at an address with the Open Inference Protocol v2."""

    model: ModelReference | Annotated[tuple[WeightedModel, ...], Meta(min_length=1)] | None = None
    index: (
        Annotated[ModelReference, Meta(description="`name` or `name@version` of an index that is searched")] | None
    ) = None
    run: (
        Annotated[
            Command,
            Meta(description="your own code that answers: a script with predict(inputs), or an HTTP server on $PORT"),
        ]
        | None
    ) = None
    code: Code = ()
    inputs: Tensors = {}  # noqa: RUF012 - msgspec copies it
    outputs: Tensors = {}  # noqa: RUF012 - msgspec copies it
    pipeline: Annotated[
        tuple[ModelReference | PipelineStep, ...],
        Meta(description="models and commands one after another; each takes what the one before it gives"),
    ] = ()
    llm: Annotated[Name, Meta(description="a language model of spec.llms, by the OpenAI API")] | None = None
    assistant: (
        Annotated[Name, Meta(description="an assistant of spec.assistants, by the OpenAI API and a page")] | None
    ) = None
    scale: Scale | None = None
    latency: Latency | None = None
    drift: Drift | None = None
    explain: Annotated[Explain, Meta(description="explanations by shap, for models that are no trees")] | None = None
    telemetry: Telemetry = Telemetry()
    sample: Annotated[
        dict[str, SampleInput],
        Meta(
            description="inputs by name for the request that the service is tested with, for a model that refuses zeros"
        ),
    ] = {}  # noqa: RUF012 - msgspec copies it
    host: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9.:-]{1,253}$",
            description="an address of this machine, or its name, to listen on",
            examples=["127.0.0.1", "0.0.0.0"],  # noqa: S104 - an example of what a user may choose
        ),
    ] = LOOPBACK
    port: Annotated[int, Meta(ge=1, le=65535, description="port to listen on; a free one when left out")] | None = None
    auth: Annotated[
        Literal["none"] | Auth | None,
        Meta(description="who may ask: callers with tokens; `none` for everybody who reaches the address"),
    ] = None
    tls: Annotated[Tls | None, Meta(description="encrypt; with clients, callers show certificates")] = None
    hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,253}$", description="a name of a host")], ...],
        Meta(description="names that requests must be for; health is answered for all"),
    ] = ()
    rollout: Annotated[
        Rollout,
        Meta(
            description="accepted: a running service moves to each newly accepted version; promote: it waits for "
            "plimsoll promote"
        ),
    ] = "accepted"
    resources: Resources = Resources()
    isolation: Isolated = None
    target: Name | None = None
    failover: Annotated[
        Failover | None, Meta(description="where requests go while the service's own servers do not answer")
    ] = None

    @property
    def leading(self) -> str:
        """The reference of the version with the largest share, also of an index; empty without either."""
        if self.index is not None:
            return versions_of(self.index)
        if self.model is None:
            return ""
        return self.model if isinstance(self.model, str) else max(self.model, key=lambda each: each.weight).model

    @property
    def references(self) -> frozenset[str]:
        """The references of all models and indexes that it names, also as steps of its pipeline."""
        models = (self.model,) if isinstance(self.model, str) else [each.model for each in self.model or ()]
        steps = [each.model if isinstance(each, PipelineStep) else each for each in self.pipeline]
        return frozenset(filter(None, (*models, *steps, versions_of(self.index) if self.index else None)))

    @property
    def models_of_code(self) -> frozenset[str]:
        """The names of the models that the user's own code is given."""
        steps = (each for each in self.pipeline if isinstance(each, PipelineStep))
        found = {each.model for each in steps if each.model is not None}
        references = found | ({self.leading} if self.run is not None and self.leading else set())
        return frozenset(each.partition("@")[0] for each in references)

    @property
    def own(self) -> PipelineStep | None:
        """The user's own code, when it is what answers."""
        if self.run is None:
            return None
        return PipelineStep(run=self.run, code=self.code, inputs=self.inputs, outputs=self.outputs)


class ServiceKind(Kind[Service]):
    """`spec.services`."""

    key = "services"
    part = Service
    works = (Serve, Standby, FailOver)

    def check(self, file: ApplicationFile) -> None:
        """Check that models exist, weights sum to 100, ports differ, and the drift reference is a table."""
        self._check_ports(file)
        for name, service in self.of(file.application).items():
            at = self.place(name)
            check_what_answers(file, service, *at)
            check_callers(file, service, *at)
            _check_isolation(file, service, *at)
            check_accelerators(file, service.resources, *at)
            check_failover(file, self.of(file.application), name, *at)
            named = service.index or service.model
            if service.rollout == "promote" and (not isinstance(named, str) or "@" in named):
                hint = "leave rollout out: the versions that the file names stay until plimsoll promote"
                raise file.error("rollout is for a service of a model without a version", hint, *at, "rollout")
            if service.scale is not None and service.scale.min > service.scale.max:
                raise file.error("scale.min is more than scale.max", "lower min or raise max", *at, "scale", "min")
            if service.explain is not None:
                check_explain(file, service, service.explain, *at)
            if service.drift is not None:
                check_table(file, service.drift.reference, "drift is judged against", *at, "drift", "reference")
            for each, given in service.sample.items():
                count = math.prod(given.shape)
                if given.data and len(given.data) != count:
                    message = f"data has {len(given.data)} values, the shape {list(given.shape)} needs {count}"
                    raise file.error(message, "leave data out for zeros", *at, "sample", each, "data")
            if isinstance(service.model, str):
                MODELS.check_reference(file, service.model, *at, "model", whole=service.run is None)
            elif service.model is not None:
                check_shares(file, service.model, *at, "model")

    def placements(self, part: Service) -> tuple[tuple[str | None, tuple[str, ...]], ...]:
        """Its own target, and the one that it fails over to."""
        own = self.placement(part)
        return (own, (part.failover.to, ("failover", "to"))) if part.failover is not None else (own,)

    def target_of(self, part: Service, work: Work) -> str | None:
        """What stands by is on the other target; what leads requests there is beside the service."""
        return part.failover.to if isinstance(work, Standby) and part.failover is not None else part.target

    def sources(self, name: str, part: Service) -> Iterable[NamedSource]:
        """The files by which its callers are known."""
        return files_of(part, name, self.place(name))

    def commands(self, name: str, part: Service) -> Iterable[NamedCommand]:
        """The command lines of the user's own code."""
        return commands(name, self.place(name), part.own, part.pipeline)

    def _check_ports(self, file: ApplicationFile) -> None:
        """Raise FileError for a port that two services ask for."""
        taken: dict[int, str] = {}
        for name, service in self.of(file.application).items():
            if service.port is None:
                continue
            if service.port in taken:
                message = f"services '{taken[service.port]}' and '{name}' have the same port {service.port}"
                raise file.error(message, "give one of them another port", *self.place(name), "port")
            taken[service.port] = name

    def plan(self, name: str, part: Service, planner: Planner) -> AnyStep:
        """Add a step that serves, after the models are registered and the drift reference exists."""
        shares, made_of, registered = _shares(part, planner)
        leading = max(shares, key=lambda share: share.weight, default=ModelShare(model=""))
        own: ServedStep | None = None
        needed: list[str] = []
        if part.own is not None:
            own, found, needed = planned(planner, name, name, part.own)
            made_of += [each for each in found if each not in made_of]
        steps, found, more = planned_pipeline(planner, name, part.pipeline) if part.pipeline else ((), [], [])
        made_of += [each for each in found if each not in made_of]
        if not shares:
            made_of += [each for each in ingredients.of_runtime(planner) if each not in made_of]
        environment = environment_step(planner) if own or any(step.command for step in steps) else None
        llm: PreparedLlm | None = None
        if part.llm is not None:
            llm, prepared, found = LLMS.prepared(planner, part.llm)
            made_of += [each for each in found if each not in made_of]
            more = [*more, prepared.name]
        assistant: AssistantPlan | None = None
        if part.assistant is not None:
            assistant, llm, found, before = ASSISTANTS.prepared(planner, part.assistant)
            made_of += [each for each in found if each not in made_of]
            more = [*more, *before]
            if (asked := self._service_of(llm.name, planner)) is not None:
                assistant = replace(assistant, llm_service=asked)
                made_of.append(setting("llm-service", asked))
                more.append(planner.step_of(self, asked).name)
        for word in ("scale", "latency"):
            if getattr(part, word) is not None:
                made_of.append(setting(word, to_builtins(getattr(part, word))))
        references = DATASETS.inputs(planner, (part.drift.reference,)) if part.drift else ()
        made_of += map(ingredients.of_input, references)
        explain = _explain(part, planner)
        if explain is not None:
            found = [ingredients.of_input(explain.background), setting("explain", to_builtins(part.explain))]
            made_of += [each for each in found if each not in made_of]
            more = [*more, explain.background.step]
        made_of += self._settings(name, part, planner)
        work = Serve(
            service=name,
            model=leading.model,
            register_key=leading.register_key,
            shares=() if part.model is None or isinstance(part.model, str) else shares,
            reference=next(iter(references), None),
            telemetry=part.telemetry,
            scale=part.scale,
            latency=seconds(part.latency.p99) if part.latency else None,
            sample=QUESTION if part.index else part.sample,
            own=own,
            pipeline=steps,
            environment=environment.key if environment else None,
            host=part.host,
            port=part.port or 0,
            rollout=part.rollout,
            llm=llm,
            assistant=assistant,
            auth=settings_of(part),
            tls=tls_of(part),
            hosts=part.hosts,
            explain=explain,
            fails_over=part.failover is not None,
        )
        needs = [*registered, *(file.step for file in references), *needed, *more]
        return self._added(part, work, made_of, needs, planner)

    def _added(
        self, part: Service, work: Serve, made_of: Sequence[Ingredient], needs: Sequence[str], planner: Planner
    ) -> AnyStep:
        """The step that serves; with what stands by for it, and what leads requests there, where the file says so."""
        name, leads = work.service, failover_of(work.service, part)
        add = partial(
            planner.add, name, resources=settled_resources(part.resources), isolation=part.isolation, retries=1
        )
        if leads is None:
            return add(work, made_of, needs=needs)
        said = setting("failover", to_builtins(part.failover))
        # A service that it asks is on its own target, and what stands by has what that one answers with itself.
        apart = [each for each in needs if not each.startswith(f"{Serve.verb}/")]
        standby = add(standby_of(work), [*made_of, said], needs=apart)
        step = add(work, [*made_of, said], needs=needs)
        planner.add(name, leads, [said], needs=[standby.name, step.name])
        return step

    def _settings(self, name: str, part: Service, planner: Planner) -> list[Ingredient]:
        """What of a service's own words its key is made of."""
        made_of = [setting("telemetry", to_builtins(part.telemetry))]
        if part.sample:
            made_of.append(setting("sample", to_builtins(part.sample)))
        if settings_of(part) is not None:
            made_of.append(setting("auth", to_builtins(part.auth)))
            if CALLERS_IN_PLACE in planner.facts.lacks:
                made_of += ingredients_of(name, planner.workspace)
        if part.tls is not None:
            made_of.append(setting("tls", to_builtins(part.tls)))
        if part.hosts:
            made_of.append(setting("hosts", to_builtins(part.hosts)))
        return made_of

    def _service_of(self, llm: str, planner: Planner) -> str | None:
        """The first service of a language model, where one service asks another; None where it has to have its own.

        One that asks its callers who they are would not answer it.
        """
        if ASKS_SERVICES in planner.facts.lacks:
            return None
        services = self.of(planner.application).items()
        return next((name for name, each in services if each.llm == llm and not isinstance(each.auth, Auth)), None)


def _explain(part: Service, planner: Planner) -> SampledExplanations | None:
    if part.explain is None:
        return None
    (background,) = DATASETS.inputs(planner, (part.explain.background,))
    budget = part.explain.budget
    return SampledExplanations(
        background=background,
        evaluations=budget.evaluations,
        seconds=duration_in_seconds(budget.time),
        output=part.explain.output,
    )


def _check_isolation(file: ApplicationFile, service: Service, *at: str) -> None:
    """Raise FileError where nothing is kept apart: the server itself is Plimsoll's, and has to be reached."""
    if service.isolation is None:
        return
    if service.run is None and not any(isinstance(each, PipelineStep) for each in service.pipeline):
        text = "`isolation` is for a service's own code (`run`), and this service has none"
        raise file.error(text, "remove it", *at, "isolation", at_key=True)
    check_isolation(file, service.isolation, *at)
    asked = settled(service.isolation)
    own = [each for each in (service.own, *service.pipeline) if isinstance(each, PipelineStep)]
    if asked is None or asked.level != STRICT or asked.network:
        return
    for each in own:
        if not function_script(each.run, file.directory):
            text = f"'{each.run}' is a server, which is asked on a port of this machine, and has no network"
            hint = "write isolation: {network: true}, or make it a function: a script with predict(inputs)"
            raise file.error(text, hint, *at, "isolation")


def _shares(part: Service, planner: Planner) -> tuple[tuple[ModelShare, ...], list[Ingredient], list[str]]:
    """The versions of a service, their ingredients of its key, and the steps that register them."""
    if part.index is not None:
        release, of_index = INDEXES.registered(planner, part.index)
        share = ModelShare(model=versions_of(part.index), register_key=release.key if release else None)
        return (share,), of_index, [release.name] if release else []
    if part.model is None:
        return (), [], []
    weighted = (WeightedModel(model=part.model, weight=100),) if isinstance(part.model, str) else part.model
    shares: list[ModelShare] = []
    made_of: list[Ingredient] = []
    steps: list[str] = []
    for each in weighted:
        register, found = MODELS.registered(planner, each.model)
        made_of += [ingredient for ingredient in found if ingredient not in made_of]
        key = register.key if register else None
        steps += [register.name] if register else []
        shares.append(
            ModelShare(model=each.model, register_key=key, weight=each.weight, headers=each.headers, shadow=each.shadow)
        )
    if not isinstance(part.model, str):
        made_of.append(setting("shares", [to_builtins(each) for each in weighted]))
    return tuple(shares), made_of, steps


SERVICES = ServiceKind()
