"""A version that is a language model, as the data plane knows versions."""

from __future__ import annotations

import weakref
from functools import partial
from typing import ClassVar

from plimsoll.llms.engines import ENDPOINT, ENGINES
from plimsoll.llms.settings import LlmSettings
from plimsoll.runtime.server.counts import LlmRecord, Record, Records
from plimsoll.runtime.server.llms.gate import Gate
from plimsoll.runtime.server.llms.replicas import Replicas
from plimsoll.runtime.server.no_tensors import NoTensors
from plimsoll.runtime.server.refusals import BadInput
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Answerer, Served
from plimsoll.runtime.server.service_file import Batching, ModelFile
from plimsoll.runtime.tensors import Array

ELSEWHERE = "this is a language model: ask it at /v1/chat/completions or /v1/completions"


class LanguageModel(NoTensors):
    """What is known of it: a `Model`, without tensors."""

    elsewhere = ELSEWHERE


class ServedLlm(Served):
    """A language model, its replicas and their gate. Its processes end with it."""

    model: LanguageModel
    kind: ClassVar[Answerer] = "llm"

    def __init__(
        self, file: ModelFile, settings: LlmSettings, threads: int, records: Records, batching: Batching
    ) -> None:
        """Raises PlimsollError when it does not come up."""
        super().__init__(LanguageModel(file), file.version, records, batching)
        self.file = file
        self.settings = settings
        self.counts = records.answers.llm = records.answers.llm or LlmRecord()
        self.replicas = Replicas(file, settings, threads)
        self.replicas.report_restarts(partial(_count, records.answers))
        weakref.finalize(self, self.replicas.closing)
        self.gate = Gate(settings.slots, settings.queue, len(self.replicas), self.replicas.is_up)

    @property
    def names(self) -> tuple[str, ...]:
        """What requests may call it: its own name, and those of its adapters."""
        return (self.name, *self.settings.adapters)

    @property
    def adapters(self) -> list[str]:
        """The adapters in the order in which the engine has them; that for all answers has no name."""
        return [""] if self.settings.adapter else list(self.settings.adapters)

    @property
    def in_pieces(self) -> bool:
        """Whether it is asked for a stream also where its client wants the whole answer."""
        return self.settings.endpoint is None and ENGINES[self.settings.engine].ends_streams_alone

    @property
    def who(self) -> str:
        """What answers, for a sentence."""
        endpoint = self.settings.endpoint if self.settings.engine == ENDPOINT else None
        return f"the endpoint at {endpoint.url}" if endpoint is not None else self.settings.engine

    @property
    def problem(self) -> str:
        """Why it cannot answer at present."""
        return self.replicas.problem

    @property
    def under_way(self) -> int:
        """Requests that have begun."""
        return self.queued

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return self.gate.waiting

    @property
    def most_connections(self) -> int:
        """One for each answer that is being computed."""
        return self.settings.slots * len(self.replicas)

    def close(self) -> None:
        """End its processes, and wait for that."""
        self.replicas.close()
        self.replicas.wait()

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """Refuse: it takes no tensors."""
        raise BadInput(ELSEWHERE)


def _count(record: Record) -> None:
    record.restarts += 1
