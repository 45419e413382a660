"""An assistant as the data plane knows versions: it has no file, and finds its index and its language model by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from plimsoll.assistants.settings import AssistantSettings
from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.server.counts import AssistantRecord, Records
from plimsoll.runtime.server.llms.served import ServedLlm
from plimsoll.runtime.server.no_tensors import NoTensors
from plimsoll.runtime.server.refusals import BadInput, NotReady, Refusal
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Answerer, Served
from plimsoll.runtime.server.service_file import Batching, ModelFile
from plimsoll.runtime.tensors import Array

try:
    from plimsoll.assistants.answering import Assistant, Limits, Settings, Written
    from plimsoll.assistants.passages import Passage, Retrieve
    from plimsoll.assistants.searching import passages_of
    from plimsoll.indexes.took import Took
    from plimsoll.llms.client import Message
    from plimsoll.runtime.server.retrieval.served import ServedIndex
except ImportError:
    raise MissingExtra("retrieval", "serving an assistant") from None

ELSEWHERE = "this is an assistant: ask it at /v1/chat/completions"


class NoModel(NoTensors):
    """What is known of an assistant: a `Model`, without tensors."""

    elsewhere = ELSEWHERE


class Parts:
    """What one question is answered by: these versions, whatever is served before the answer is complete."""

    def __init__(self, settings: AssistantSettings, name: str, index: ServedIndex, llm: ServedLlm) -> None:
        self.index = index
        self.llm = llm
        limits = Limits(
            tokens=min(settings.tokens, llm.settings.tokens),
            seconds=min(settings.seconds, llm.settings.seconds),
            top=settings.top,
        )
        self.assistant = Assistant(
            Settings(
                name=name,
                rules=settings.rules,
                refuse=settings.refuse,
                limits=limits,
                context=llm.settings.context,
            ),
            _searches(index),
            _never,
            time.perf_counter,
        )


class ServedAssistant(Served):
    """An assistant. What answers is loaded, counted and replaced as versions of their own."""

    model: NoModel
    kind: ClassVar[Answerer] = "assistant"

    def __init__(
        self,
        file: ModelFile,
        settings: AssistantSettings,
        records: Records,
        batching: Batching,
        *,
        find: Callable[[str], Served],
        pool: ThreadPoolExecutor,
    ) -> None:
        super().__init__(NoModel(file), file.version, records, batching)
        self.file = file
        self.settings = settings
        self.pool = pool
        self.counts = records.answers.assistant = records.answers.assistant or AssistantRecord()
        self._find = find

    def parts(self) -> Parts:
        """What answers at this moment. Raises NotFound, NotReady."""
        index, llm = self._find(self.settings.index), self._find(self.settings.llm)
        if not isinstance(index, ServedIndex) or not isinstance(llm, ServedLlm):
            raise NotReady(f"the index or the language model of the assistant '{self.name}' is not loaded")
        if llm.problem:
            raise NotReady(llm.problem)
        return Parts(self.settings, self.name, index, llm)

    @property
    def problem(self) -> str:
        """Why it cannot answer at present."""
        try:
            self.parts()
        except Refusal as refusal:
            return str(refusal)
        return ""

    @property
    def under_way(self) -> int:
        """Questions that are being answered."""
        return self.queued

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """Refuse: it takes no tensors."""
        raise BadInput(ELSEWHERE)


def _searches(index: ServedIndex) -> Retrieve:
    search = passages_of(index.index)

    def retrieve(question: str, most: int, labels: Collection[str] | None, took: Took | None = None) -> list[Passage]:
        try:
            # Nobody sees what has labels without any: `None` would be everything.
            return search(question, most, labels or (), took)
        except PlimsollError as error:
            raise NotReady(error.on_one_line()) from error

    return retrieve


def _never(messages: Sequence[Message], tokens: int, seconds: float) -> Written:
    """The server asks its language model by itself, as it waits for many at once."""
    raise NotImplementedError
