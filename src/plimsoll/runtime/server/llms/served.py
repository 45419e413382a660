"""A version that is a language model, as the data plane knows versions."""

from __future__ import annotations

import weakref
from functools import partial
from typing import ClassVar

from plimsoll.llms.engines import ENDPOINT, ENGINES
from plimsoll.llms.settings import LlmSettings
from plimsoll.llms.upstream import Upstream
from plimsoll.runtime.server.counts import LlmRecord, Record, Records
from plimsoll.runtime.server.llms.gate import Gate
from plimsoll.runtime.server.llms.process import EngineProcess
from plimsoll.runtime.server.no_tensors import NoTensors
from plimsoll.runtime.server.refusals import BadInput
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Answerer, Served
from plimsoll.runtime.server.service_file import Batching, ModelFile
from plimsoll.runtime.tensors import Array

ENDPOINT_CALLS = 32
"""Requests that an endpoint is asked at once; how many it computes is its own matter."""
ELSEWHERE = "this is a language model: ask it at /v1/chat/completions or /v1/completions"


class LanguageModel(NoTensors):
    """What is known of it: a `Model`, without tensors."""

    elsewhere = ELSEWHERE


class ServedLlm(Served):
    """A language model and its gate. Its process ends with it."""

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
        self._process: EngineProcess | None = None
        self.upstream: Upstream
        if settings.endpoint is not None:
            # Its client of HTTP costs each start a tenth of a second, and few services have an endpoint.
            from plimsoll.llms.endpoint import EndpointUpstream

            self.upstream = EndpointUpstream(settings.endpoint)
        else:
            self._process = EngineProcess(file, settings, threads)
            self._process.report_restarts(partial(_count, records.answers))
            self.upstream = self._process.upstream
            weakref.finalize(self, self._process.close)
        self.gate = Gate(ENDPOINT_CALLS if settings.engine == ENDPOINT else settings.slots, settings.queue)

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
        return self._process.problem if self._process is not None else ""

    @property
    def under_way(self) -> int:
        """Requests that have begun."""
        return self.queued

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return self.gate.waiting

    @property
    def pid(self) -> int:
        """The engine's process; 0 for an endpoint."""
        return self._process.pid if self._process is not None else 0

    def close(self) -> None:
        """End its process, and wait for that."""
        if self._process is not None:
            self._process.close()
            self._process.wait()

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """Refuse: it takes no tensors."""
        raise BadInput(ELSEWHERE)


def _count(record: Record) -> None:
    record.restarts += 1
