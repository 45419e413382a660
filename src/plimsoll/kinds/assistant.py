"""Assistants: a language model that answers from an index, and the questions by which it is judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, to_builtins

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.prompts import read_prompt
from plimsoll.application.scalars import Bound, Duration, Name, duration_in_seconds
from plimsoll.application.shape import suggest_name
from plimsoll.application.workspace import NamedSource
from plimsoll.assistants.figures import FIGURES, is_figure, known_figures
from plimsoll.assistants.prompt import RULES
from plimsoll.errors import PlimsollError
from plimsoll.indexes.names import versions_of
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.llm import DEFAULT_CONTEXT, LLMS, PreparedLlm, adapter_name
from plimsoll.planning.keys import setting
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, Ingredient

ASKS_SERVICES = "asks-services"
"""The feature of targets on which a service asks another one of the application by its name."""


class AssistantLimits(Part, frozen=True, kw_only=True):
    """What one answer may take; a caller may ask for less."""

    tokens: Annotated[int, Meta(ge=1, le=1 << 16, description="tokens of one answer at most")] = 256
    time: Duration = "60s"

    @property
    def seconds(self) -> float:
        """`time` in seconds."""
        return duration_in_seconds(self.time)


class Assistant(Part, frozen=True, kw_only=True):
    """Answers questions from an index by a language model, and says what each sentence stands on."""

    index: Annotated[Name, Meta(description="the index that is searched")]
    llm: Annotated[Name, Meta(description="the language model of spec.llms that writes")]
    prompt: Annotated[str, Meta(min_length=1, description="a file with the rules for the language model")] | None = None
    top: Annotated[int, Meta(ge=1, le=50, description="passages that the language model is given")] = 4
    refuse: Annotated[
        float,
        Meta(ge=0, le=1, description="no answer where the best passage is less relevant to the question than this"),
    ] = 0.35
    limits: AssistantLimits = AssistantLimits()
    questions: Annotated[str, Meta(min_length=1, description="judged questions, one JSON object a line")] | None = None
    accept: Annotated[dict[str, Bound], Meta(description="bounds on figures of plimsoll eval; all must hold")] = {}  # noqa: RUF012 - msgspec copies it


class AssistantPlan(Part, frozen=True, kw_only=True):
    """An assistant as a service of it needs it.

    `index_key` is the key of the step that registers the index in this plan. `tokens` and `seconds` are within the
    limits of the language model. `llm_service` is the service of the language model that it asks; without one the
    language model is served beside it.
    """

    name: str
    index: str
    index_key: str | None
    prompt: str | None
    refuse: float
    top: int
    tokens: int
    seconds: float
    llm_service: str = ""


class AssistantKind(Kind[Assistant]):
    """`spec.assistants`. It has no step of its own: `plimsoll ask` uses what the steps of index and model have made."""

    key = "assistants"
    part = Assistant

    def check(self, file: ApplicationFile) -> None:
        """Check that index and language model exist, that figures do, and that limits fit the language model."""
        llms, indexes = LLMS.of(file.application), INDEXES.of(file.application)
        for name, assistant in self.of(file.application).items():
            at = self.place(name)
            if assistant.index not in indexes:
                hint = suggest_name(assistant.index, indexes)
                raise file.error(f"there is no index '{assistant.index}'", hint, *at, "index")
            LLMS.check_reference(file, assistant.llm, *at, "llm")
            context = llms[assistant.llm].context or DEFAULT_CONTEXT
            if assistant.limits.tokens >= context:
                text = f"an answer of {assistant.limits.tokens} tokens leaves no room in a context of {context}"
                keys = ("limits", "tokens") if assistant.limits != AssistantLimits() else ("llm",)
                raise file.error(text, f"allow fewer than {context}", *at, *keys)
            self._check_accept(file, assistant, at)
            for word in ("prompt", "questions"):
                if "://" in (getattr(assistant, word) or ""):
                    raise file.error(f"`{word}` is a file beside the application", "fetch it first", *at, word)

    def check_reference(self, file: ApplicationFile, name: str, *at: str | int) -> None:
        """Raise FileError for an assistant that is not in the file, or whose rules a server could not be given."""
        assistants = self.of(file.application)
        if name not in assistants:
            raise file.error(f"there is no assistant '{name}'", suggest_name(name, assistants), *at)
        llm = LLMS.of(file.application)[assistants[name].llm]
        if name in (assistants[name].llm, *map(adapter_name, llm.adapters)):
            text = f"the assistant '{name}' has the name of its language model, and requests name both"
            raise file.error(text, "give one of them another name", *self.place(name), at_key=True)
        self.rules(file, name)

    def rules(self, file: ApplicationFile, name: str) -> str:
        """The rules of an assistant. Raises FileError, with the place of `prompt`."""
        prompt = self.of(file.application)[name].prompt
        if prompt is None:
            return RULES
        try:
            return read_prompt(file.directory, prompt)
        except PlimsollError as error:
            raise file.error(error.message, error.hint, *self.place(name), "prompt") from None

    def prepared(self, planner: Planner, name: str) -> tuple[AssistantPlan, PreparedLlm, list[Ingredient], list[str]]:
        """An assistant for a service of it: its settings, its language model, ingredients of a key, and the steps that
        come before it.
        """
        part = self.of(planner.application)[name]
        llm, step, made_of = LLMS.prepared(planner, part.llm)
        release, of_index = INDEXES.registered(planner, part.index)
        plan = AssistantPlan(
            name=name,
            index=versions_of(part.index),
            index_key=release.key if release is not None else None,
            prompt=part.prompt,
            refuse=part.refuse,
            top=part.top,
            tokens=min(part.limits.tokens, llm.limits.tokens),
            seconds=min(part.limits.seconds, llm.limits.seconds),
        )
        made_of += [each for each in of_index if each not in made_of]
        made_of.append(setting("assistant", to_builtins(part)))
        if digest := planner.workspace.sources.get(f"assistants/{name}/prompt"):
            made_of.append(Ingredient(kind="input", name="prompt", digest=digest))
        return plan, llm, made_of, [step.name, *([release.name] if release is not None else [])]

    def _check_accept(self, file: ApplicationFile, assistant: Assistant, at: Sequence[str]) -> None:
        if assistant.accept and assistant.questions is None:
            text = "`accept` judges the answers to `questions`, and there are none"
            raise file.error(text, "add `questions: FILE.jsonl`", *at, "accept", at_key=True)
        for figure in assistant.accept:
            if not is_figure(figure):
                hint = suggest_name(figure, known_figures()) or f"figures are {', '.join(FIGURES)}"
                raise file.error(f"there is no figure '{figure}'", hint, *at, "accept", figure, at_key=True)

    def sources(self, name: str, part: Assistant) -> Iterable[NamedSource]:
        """The files of prompt and questions, so that a missing one is found before anything runs."""
        for word in ("prompt", "questions"):
            if (source := getattr(part, word)) is not None:
                at = (*self.place(name), word)
                yield NamedSource(name=f"assistants/{name}/{word}", source=source, sha256=None, at=at)

    def plan(self, name: str, part: Assistant, planner: Planner) -> AnyStep:
        """The step that an assistant needs last: its index, after the language model."""
        planner.step_of(LLMS, part.llm)
        return planner.step_of(INDEXES, part.index)


ASSISTANTS = AssistantKind()
