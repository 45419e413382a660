"""Application and facts to a plan: one function for each kind of part, and one that puts the steps in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import to_builtins

from plimsoll.application.model import Application, Batch, Dataset, Model, Resources, Service, Train, WeightedModel
from plimsoll.application.scalars import duration_in_seconds, memory_in_bytes
from plimsoll.application.workspace import Workspace
from plimsoll.planning.facts import Facts
from plimsoll.planning.keys import setting, step_key, text_digest
from plimsoll.planning.steps import (
    Fetch,
    Ingredient,
    InputFile,
    MakeEnvironment,
    ModelShare,
    Plan,
    Register,
    RunCommand,
    Score,
    Serve,
    Share,
    Step,
    TrainGang,
    Work,
)

REMOTE_RETRIES = 3
"""New tries of a download: networks fail for moments."""


def plan(application: Application, workspace: Workspace, facts: Facts) -> Plan:
    """The steps of a checked application, each after all it needs.

    The same arguments always give the same plan. Raises KeyError for an application that has not been checked.
    """
    builder = _Builder(application, workspace, facts)
    spec = application.spec
    for name in spec.datasets:
        builder.dataset(name)
    for name, model in spec.models.items():
        builder.model(name, model)
    for name, service in spec.services.items():
        builder.service(name, service)
    for name, batch in spec.batches.items():
        builder.batch(name, batch)
    return Plan(application=application.metadata.name, target=facts.target, steps=tuple(builder.steps.values()))


class _Builder:
    """Collects steps in order; a part is built when it is first needed."""

    def __init__(self, application: Application, workspace: Workspace, facts: Facts) -> None:
        self.spec = application.spec
        self.workspace = workspace
        self.facts = facts
        self.steps: dict[str, Step] = {}

    def dataset(self, name: str) -> Step:
        part = self.spec.datasets[name]
        known = self.steps.get(f"fetch/{name}") or self.steps.get(f"run/{name}")
        if known:
            return known
        return self._fetch(name, part) if part.source is not None else self._run(name, part)

    def _fetch(self, name: str, part: Dataset) -> Step:
        assert part.source is not None  # noqa: S101 - the caller has looked
        content = Ingredient(kind="input", name=name, digest=self.workspace.sources[name])
        return self._add(
            f"fetch/{name}",
            Fetch(source=part.source, sha256=part.sha256),
            [content],
            retries=max(part.retries, REMOTE_RETRIES if "://" in part.source else 0),
        )

    def _run(self, name: str, part: Dataset) -> Step:
        inputs = self._inputs(part.inputs)
        environment = self._environment()
        work = RunCommand(
            command=part.run or "",
            inputs=inputs,
            outputs=part.outputs,
            environment=environment.key if environment else None,
            timeout=_seconds(part.timeout),
        )
        made_of = self._made_of(f"run/{name}", work.command, inputs)
        made_of.append(setting("outputs", list(part.outputs)))
        return self._add(
            f"run/{name}",
            work,
            made_of,
            needs=_needs(inputs, environment),
            share=_share(part.resources),
            retries=part.retries,
        )

    def model(self, name: str, part: Model) -> Step:
        known = self.steps.get(f"register/{name}")
        if known:
            return known
        train = self._train(name, part.train)
        made_of = [Ingredient(kind="input", name=train.name, digest=train.key), setting("accept", part.accept)]
        work = Register(
            model=name,
            train=train.name,
            train_key=train.key,
            accept=part.accept,
            command=part.train.run,
            framework=part.train.framework,
            lineage=(*train.ingredients, *self._behind(train)),
        )
        return self._add(f"register/{name}", work, made_of, needs=(train.name,))

    def _train(self, name: str, part: Train) -> Step:
        inputs = self._inputs(part.inputs)
        environment = self._environment()
        work = TrainGang(
            command=part.run,
            framework=part.framework,
            workers=part.workers,
            inputs=inputs,
            topology=part.topology,
            environment=environment.key if environment else None,
            timeout=_seconds(part.timeout),
        )
        made_of = self._made_of(f"train/{name}", part.run, inputs)
        made_of += [setting("framework", part.framework), setting("workers", part.workers)]
        return self._add(
            f"train/{name}",
            work,
            made_of,
            needs=_needs(inputs, environment),
            share=_share(part.resources),
            retries=part.retries,
        )

    def service(self, name: str, part: Service) -> Step:
        shares, made_of = self._shares(part)
        leading = max(shares, key=lambda share: share.weight)
        for word in ("scale", "latency"):
            if getattr(part, word) is not None:
                made_of.append(setting(word, to_builtins(getattr(part, word))))
        references = self._inputs((part.drift.reference,)) if part.drift else ()
        made_of += [_input_ingredient(file) for file in references]
        made_of.append(setting("telemetry", to_builtins(part.telemetry)))
        work = Serve(
            service=name,
            model=leading.model,
            register_key=leading.register_key,
            shares=() if isinstance(part.model, str) else shares,
            reference=next(iter(references), None),
            telemetry=part.telemetry,
            scale=part.scale,
            latency=_seconds(part.latency.p99) if part.latency else None,
        )
        needs = [f"register/{share.model}" for share in shares if share.register_key]
        needs += [file.step for file in references]
        return self._add(f"serve/{name}", work, made_of, needs=tuple(needs), share=_share(part.resources), retries=1)

    def _shares(self, part: Service) -> tuple[tuple[ModelShare, ...], list[Ingredient]]:
        """The versions of a service, and what they add to its key."""
        single = isinstance(part.model, str)
        weighted = (WeightedModel(model=part.model, weight=100),) if isinstance(part.model, str) else part.model
        shares, made_of = [], []
        for each in weighted:
            register, ingredients = self._model_of(each.model)
            made_of += [ingredient for ingredient in ingredients if ingredient not in made_of]
            key = register.key if register else None
            shares.append(
                ModelShare(
                    model=each.model, register_key=key, weight=each.weight, headers=each.headers, shadow=each.shadow
                )
            )
        if not single:
            made_of.append(setting("shares", [to_builtins(each) for each in weighted]))
        return tuple(shares), made_of

    def batch(self, name: str, part: Batch) -> Step:
        register, made_of = self._model_of(part.model)
        (rows,) = self._inputs((part.input,))
        made_of.append(_input_ingredient(rows))
        return self._add(
            f"score/{name}",
            Score(batch=name, model=part.model, input=rows, register_key=register.key if register else None),
            made_of,
            needs=(*((register.name,) if register else ()), rows.step),
            share=_share(part.resources),
            retries=1,
        )

    def _model_of(self, reference: str) -> tuple[Step | None, list[Ingredient]]:
        """The step that registers a model, unless a version is pinned, and what the reference adds to a key."""
        ours = [setting(f"version of {name}", version) for name, version in sorted(self.facts.versions.items())]
        name, _, version = reference.partition("@")
        if version:
            return None, [Ingredient(kind="input", name=reference, digest=text_digest(reference)), *ours]
        register = self.model(name, self.spec.models[name])
        return register, [Ingredient(kind="input", name=register.name, digest=register.key), *ours]

    def _environment(self) -> Step | None:
        requirements = self.spec.environment.requirements
        if requirements is None:
            return None
        name = f"environment/{requirements}"
        if name in self.steps:
            return self.steps[name]
        made_of = [Ingredient(kind="environment", name=requirements, digest=self.workspace.environment[1])]
        return self._add(name, MakeEnvironment(requirements=requirements), made_of, retries=1)

    def _inputs(self, references: Sequence[str]) -> tuple[InputFile, ...]:
        found = []
        for reference in references:
            dataset, _, file = reference.partition("/")
            step = self.dataset(dataset)
            found.append(InputFile(name=dataset, step=step.name, key=step.key, file=file or None))
        return tuple(found)

    def _made_of(self, name: str, command: str, inputs: Iterable[InputFile]) -> list[Ingredient]:
        environment, digest = self.workspace.environment
        made_of = [
            Ingredient(kind="command", name="run", digest=text_digest(command)),
            Ingredient(kind="environment", name=environment, digest=digest),
        ]
        made_of += [Ingredient(kind="code", name=file, digest=code) for file, code in self.workspace.code.get(name, ())]
        made_of += [_input_ingredient(file) for file in inputs]
        return made_of

    def _behind(self, step: Step) -> tuple[Ingredient, ...]:
        """The sources and the code that a step's inputs were made from, through all the steps between."""
        found: dict[str, Ingredient] = {}
        for name in step.needs:
            before = self.steps[name]
            kinds = {"input": "source"} if isinstance(before.work, Fetch) else {"code": "code"}
            parts = [part for part in before.ingredients if part.kind in kinds]
            found |= {
                part.name: Ingredient(kind=kinds[part.kind], name=part.name, digest=part.digest) for part in parts
            }
            found |= {part.name: part for part in self._behind(before)}
        return tuple(found.values())

    def _add(
        self,
        name: str,
        work: Work,
        made_of: list[Ingredient],
        *,
        needs: tuple[str, ...] = (),
        share: Share | None = None,
        retries: int = 0,
    ) -> Step:
        step = Step(
            name=name,
            key=step_key(name, made_of),
            work=work,
            needs=tuple(dict.fromkeys(needs)),
            share=share or Share(),
            retries=retries,
            ingredients=tuple(made_of),
        )
        self.steps[name] = step
        return step


def _input_ingredient(file: InputFile) -> Ingredient:
    name = f"{file.name}/{file.file}" if file.file else file.name
    return Ingredient(kind="input", name=name, digest=file.key)


def _needs(inputs: Iterable[InputFile], environment: Step | None) -> tuple[str, ...]:
    return (*((environment.name,) if environment else ()), *(file.step for file in inputs))


def _share(resources: Resources) -> Share:
    memory = memory_in_bytes(resources.memory) if resources.memory is not None else None
    return Share(cpu=resources.cpu, memory=memory, accelerators=resources.accelerators)


def _seconds(duration: str | None) -> float | None:
    return duration_in_seconds(duration) if duration is not None else None


def keys_by_name(plan: Plan) -> Mapping[str, str]:
    """Step name to content key."""
    return {step.name: step.key for step in plan.steps}
