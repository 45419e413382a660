"""Language models: what serves them or who is asked, and the step that holds a model against its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from msgspec import to_builtins

from plimsoll.application.language_models import DEFAULT_ENGINE, Endpoint, Llm, LlmLimits
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.shape import suggest_name
from plimsoll.kinds.model import MODELS
from plimsoll.llms.engines import ENDPOINT, ENGINES, SERVING
from plimsoll.llms.engines.engine import Engine
from plimsoll.llms.routing import Routing
from plimsoll.planning.keys import setting
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, Ingredient, Travels, Work
from plimsoll.state.results import Result

DEFAULT_CONTEXT, DEFAULT_SLOTS = 4096, 4
DEFAULT_CALLS = 32
"""Requests that an endpoint is asked at once; how many of them it computes is its own matter."""
_SETTINGS = tuple(word for word in Llm.__struct_fields__ if word != "endpoint")


class LlmModel(Part, frozen=True, kw_only=True):
    """A model that an engine loads: its reference, and the key of the step that registers it in this plan, if one does.

    `name` is what requests call it.
    """

    name: str
    reference: str
    register_key: str | None = None


class PreparedLlm(Part, frozen=True, kw_only=True):
    """A language model as a service of it needs it.

    `adapter` is applied to all answers, `adapters` to those that ask for them. `prefill` are engines that only read
    questions, beside the replicas. Without `model` it is an `endpoint`.
    """

    name: str
    engine: str
    model: LlmModel | None = None
    adapter: LlmModel | None = None
    adapters: tuple[LlmModel, ...] = ()
    context: int = DEFAULT_CONTEXT
    slots: int = DEFAULT_SLOTS
    replicas: int = 1
    prefill: int = 0
    routing: Routing = "prefix"
    limits: LlmLimits = LlmLimits()
    endpoint: Endpoint | None = None

    @property
    def models(self) -> tuple[LlmModel, ...]:
        """The model and all its adapters; none for an endpoint."""
        return tuple(each for each in (self.model, self.adapter, *self.adapters) if each is not None)


class LlmResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What was found: the version of the model with its architecture and the context that it was trained for.

    Of an endpoint there is its address alone, as nothing has been asked yet.
    """

    engine: str = ""
    model: str = ""
    about: str = ""
    adapters: tuple[str, ...] = ()
    context: int = 0
    trained_context: int = 0
    url: str = ""

    def figure(self) -> str:
        """The engine, the architecture and the context; or the address."""
        if self.url:
            return f"asked at {self.url}"
        adapters = f", with {', '.join(self.adapters)}" if self.adapters else ""
        known = f" of {self.trained_context}" if self.trained_context else ""
        return f"{self.model} ({self.about}) by {self.engine}, context {self.context}{known}{adapters}"

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`."""
        return {
            "engine": self.engine,
            "model": self.model or None,
            "adapters": self.adapters,
            "context": self.context or None,
            "url": self.url or None,
        }


class PrepareLlm(Work, frozen=True, kw_only=True):
    """Hold a model and its adapters against the engine and the settings."""

    verb: ClassVar[str] = "llm"
    result: ClassVar[type[Result]] = LlmResult
    travels: ClassVar[Travels] = "never"
    llm: PreparedLlm


class LlmKind(Kind[Llm]):
    """`spec.llms`."""

    key = "llms"
    part = Llm
    works = (PrepareLlm,)

    def check(self, file: ApplicationFile) -> None:
        """Check that each has a model or an endpoint, and that its engine takes its settings."""
        for name, llm in self.of(file.application).items():
            at = self.place(name)
            if (llm.model is None) == (llm.endpoint is None):
                words = "both `model` and `endpoint`" if llm.model else "neither `model` nor `endpoint`"
                hint = "a language model is served here, or is somebody else's: give it one of the two"
                raise file.error(f"the language model '{name}' has {words}", hint, *at, at_key=True)
            self._check_settings(file, name, llm)
            if llm.endpoint is not None and (problem := llm.endpoint.problem):
                hint = "write it as https://HOST/v1, and name the variable with the key in `key: {env: NAME}`"
                raise file.error(problem, hint, *at, "endpoint", "url")
            if llm.model is not None:
                MODELS.check_reference(file, llm.model, *at, "model")
                self._check_adapters(file, name, llm, llm.model)

    def check_reference(self, file: ApplicationFile, name: str, *at: str | int) -> None:
        """Raise FileError for a language model that is not in the file."""
        llms = self.of(file.application)
        if name not in llms:
            raise file.error(f"there is no language model '{name}'", suggest_name(name, llms), *at)

    def prepared(self, planner: Planner, name: str) -> tuple[PreparedLlm, AnyStep, list[Ingredient]]:
        """A language model for a service of it: its settings, its step, and its ingredients of a key."""
        step = planner.step_of(self, name)
        assert isinstance(step.work, PrepareLlm)  # noqa: S101 - `plan` below has made it
        return step.work.llm, step, list(step.ingredients)

    def plan(self, name: str, part: Llm, planner: Planner) -> AnyStep:
        """Add a step after the models are registered."""
        needs: list[str] = []
        made_of: list[Ingredient] = []

        def model(reference: str, called: str) -> LlmModel:
            register, found = MODELS.registered(planner, reference)
            made_of.extend(each for each in found if each not in made_of)
            if register is not None:
                needs.append(register.name)
            return LlmModel(name=called, reference=reference, register_key=register.key if register else None)

        llm = PreparedLlm(
            name=name,
            engine=engine_of(part).name,
            model=model(part.model, name) if part.model else None,
            adapter=model(part.adapter, adapter_name(part.adapter)) if part.adapter else None,
            adapters=tuple(model(each, adapter_name(each)) for each in part.adapters),
            context=part.context or DEFAULT_CONTEXT,
            slots=part.slots or (DEFAULT_SLOTS if part.endpoint is None else DEFAULT_CALLS),
            replicas=part.replicas or 1,
            prefill=part.prefill or 0,
            routing=part.routing or "prefix",
            limits=part.limits,
            endpoint=part.endpoint,
        )
        said = to_builtins(part)
        if part.prefill is None:
            # What has nothing of it is what it was before there was such a word.
            del said["prefill"]
        made_of.append(setting("llm", said))
        return planner.add(name, PrepareLlm(llm=llm), made_of, needs=needs)

    def _check_settings(self, file: ApplicationFile, name: str, llm: Llm) -> None:
        at = self.place(name)
        if llm.engine is not None and llm.engine not in SERVING:
            raise file.error(f"there is no engine '{llm.engine}'", suggest_name(llm.engine, SERVING), *at, "engine")
        engine = engine_of(llm)
        for word in _SETTINGS:
            if getattr(llm, word) not in (None, ()) and word not in engine.settings:
                if engine.name == ENDPOINT:
                    text = f"`{word}` is for a model that is served here, and this one is asked at an address"
                else:
                    text = f"the engine {engine.name} takes no `{word}`"
                raise file.error(text, "remove it", *at, word, at_key=True)
        if (llm.slots or 0) > engine.most_slots:
            text = f"one process of the engine {engine.name} computes {engine.most_slots} answers at once at most"
            raise file.error(text, "take fewer `slots`, and more `replicas`", *at, "slots")
        if llm.routing is not None and (llm.replicas or 1) == 1:
            text = "`routing` is about several replicas, and there is one"
            raise file.error(text, "add `replicas`, or remove it", *at, "routing", at_key=True)

    def check_scale(self, file: ApplicationFile, name: str, *at: str | int) -> None:
        """Raise FileError for a service with `scale` of a language model with `replicas`: both say how many."""
        count = self.of(file.application)[name].replicas or 1
        if count > 1:
            text = f"`scale` stands beside the {count} replicas of the language model '{name}'"
            hint = "keep one of the two: `replicas` are led to by what they have read, `scale` follows the load"
            raise file.error(text, hint, *at, "scale", at_key=True)

    def _check_adapters(self, file: ApplicationFile, name: str, llm: Llm, model: str) -> None:
        at = self.place(name)
        if llm.adapter is not None:
            MODELS.check_adapter_of(file, llm.adapter, model, *at, "adapter")
        taken = {name: "the language model itself"}
        for number, reference in enumerate(llm.adapters):
            MODELS.check_adapter_of(file, reference, model, *at, "adapters", number)
            called = adapter_name(reference)
            if called in taken:
                text = f"requests could not tell the adapter '{called}' from {taken[called]}"
                raise file.error(text, "name each once, by a name of its own", *at, "adapters", number)
            taken[called] = "the one before"
        if llm.adapter is not None and llm.adapters:
            hint = "keep one of the two: `adapter` is for all answers, `adapters` are chosen by requests"
            raise file.error("an `adapter` for all answers stands beside `adapters`", hint, *at, "adapter", at_key=True)


def engine_of(llm: Llm) -> Engine:
    """The engine of a checked language model."""
    return ENGINES[ENDPOINT if llm.endpoint is not None else llm.engine or DEFAULT_ENGINE]


def adapter_name(reference: str) -> str:
    """What requests call an adapter: the name of its model."""
    return reference.partition("@")[0]


def needed_extras(llm: PreparedLlm) -> Iterator[str]:
    """The extras of this machine for a service of a language model."""
    if extra := ENGINES[llm.engine].extra:
        yield extra


LLMS = LlmKind()
