"""One question to an assistant on its way: search, prompt, the language model's turn, and support as it writes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from plimsoll.assistants.answering import Answer, Event, Limits, Prepared, Writing
from plimsoll.assistants.prompt import STOPS
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError
from plimsoll.llms.client import Ended, Finish
from plimsoll.llms.errors import BadRequest, error_event
from plimsoll.llms.events import END
from plimsoll.llms.requests import PATHS, read_request, written
from plimsoll.runtime.server.assistants.chunks import Chunks
from plimsoll.runtime.server.assistants.question import Question
from plimsoll.runtime.server.assistants.served import Parts, ServedAssistant
from plimsoll.runtime.server.inference import Inference
from plimsoll.runtime.server.llms.generation import Generation, Refused
from plimsoll.runtime.server.observers import Generated
from plimsoll.runtime.server.recording import OK
from plimsoll.runtime.server.refusals import GONE, Busy, DeadlinePassed, Defect, Failed, Refusal

if TYPE_CHECKING:
    from plimsoll.llms.upstream import Answer as Upstream
    from plimsoll.runtime.server.data_plane import DataPlane

Found = TypeVar("Found")
AGENT = "invoke_agent"
"""OpenTelemetry's word for what an assistant does."""
_STAGES = {"answer": "generate"}
_MODELS = frozenset({"embed", "rerank"})
"""Stages of models that not every index has."""


class _Delta(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Error(Struct):
    message: str = "it failed"


@decodable
class _Piece(Struct):
    """An event of the language model."""

    choices: list[_Choice] = []
    error: _Error | None = None


class Questioning(Inference):
    """One answer of an assistant. Whoever has it calls `whole`, or `begin` and then `events`, once."""

    __slots__ = (
        "_answer",
        "_asked",
        "_generation",
        "_parts",
        "_plane",
        "_prepared",
        "_question",
        "_upstream",
        "assistant",
    )

    def __init__(
        self, plane: DataPlane, served: ServedAssistant, question: Question, headers: Mapping[str, str], client: str
    ) -> None:
        """Raises NotReady, Busy."""
        super().__init__(headers, client)
        self._plane = plane
        self.served = self.assistant = served
        self._question = question
        self.began = time.perf_counter()
        self._parts: Parts = served.parts()
        self._prepared: Prepared | None = None
        self._generation: Generation | None = None
        self._upstream: Upstream | None = None
        self._answer: Answer | None = None
        self._asked = 0.0
        """When the language model was asked."""
        if served.queued >= plane.limits.queue:
            raise Busy(f"{served.queued} questions are being answered already, and more are refused", retry_after=1)

    async def whole(self) -> bytes:
        """The whole answer. Raises Refused, Refusal."""
        await self.begin()
        # To its end, which records it.
        async with aclosing(self._events()) as events:
            async for _ in events:
                pass
        if self._answer is None:
            raise Failed("the language model has given no answer")
        return self._chunks().whole(self._answer)

    async def begin(self) -> None:
        """Search, and wait for the language model's turn and its first line. Raises Refused, Refusal."""
        self.served.queued += 1
        try:
            async with asyncio.timeout(self._left()):
                prepared = self._prepared = await self._in_thread(self._prepare)
                if prepared.refused is None:
                    self._asked = time.perf_counter()
                    self._generation = self._generating(prepared)
                    self._upstream = await self._generation.begin()
        except BaseException as error:  # a client that has gone cancels it: that is recorded too
            self.served.queued -= 1
            raise self._ended_by(error) from error

    async def events(self) -> AsyncIterator[bytes]:
        """What has begun as events of the API. One that breaks off ends with an event that says why."""
        chunks, with_usage = self._chunks(), self._question.asked.with_usage
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    for chunk in chunks.events(event, with_usage=with_usage):
                        yield chunk
        except (Refusal, Refused) as refusal:
            status = refusal.status if isinstance(refusal, Refused) else refusal.code
            yield error_event(status, str(refusal))

    def generated(self) -> Generated:
        """Its tokens, its stages, and its texts where somebody asks for them."""
        answer, asked = self._answer, self._question.asked
        texts = self._plane.observers.wants_texts
        return Generated(
            operation=AGENT,
            route=PATHS["chat"],
            engine="assistant",
            asked=asked.model,
            stream=asked.stream,
            input_tokens=(answer and answer.prompt_tokens) or 0,
            output_tokens=(answer and answer.tokens) or 0,
            most_tokens=self._limits().tokens,
            question=asked.question if texts else None,
            answer=answer.text if texts and answer else "",
            stages=_seconds(answer) if answer else {},
            outcome=answer.outcome if answer else "",
            sentences=_sentences(answer) if answer else {},
            sources=answer.sources if answer else (),
            versions=self._versions(),
        )

    # Its parts.

    def _left(self) -> float:
        return self.began + self._parts.assistant.settings.limits.seconds - time.perf_counter()

    def _limits(self) -> Limits:
        most, asked = self._parts.assistant.settings.limits, self._question
        return Limits(
            tokens=asked.asked.tokens or most.tokens, seconds=most.seconds, top=asked.extension.top or most.top
        )

    def _prepare(self) -> Prepared:
        question = self._question
        labels = question.extension.access or ()
        try:
            return self._parts.assistant.prepare(question.text, question.history, limits=self._limits(), labels=labels)
        except PlimsollError as error:
            # All that it refuses of a question that there is: it is too long, by itself or with its passages.
            code = "context_length_exceeded" if question.text.strip() else None
            raise Refused(400, BadRequest(error.on_one_line(), "messages", code)) from error

    def _generating(self, prepared: Prepared) -> Generation:
        llm = self._parts.llm
        body = {
            "model": llm.name,
            "messages": msgspec.to_builtins(prepared.messages),
            "max_tokens": prepared.limits.tokens,
            "temperature": 0,
            "seed": 0,
            "stop": STOPS,
            "stream": True,
        }
        asked = read_request("chat", msgspec.json.encode(body))
        return Generation(
            self._plane, llm, asked, written(asked, llm.settings, llm.adapters), self.headers, self.client
        )

    async def _events(self) -> AsyncGenerator[Event, None]:
        """What happens, the answer last. Raises Refusal for one that breaks off; all of it is recorded."""
        prepared = self._prepared
        assert prepared is not None  # noqa: S101 - it has begun
        try:
            yield prepared.retrieved
            if prepared.refused is not None:
                self._answer = prepared.refused
            else:
                async with aclosing(self._written(prepared)) as written_events:
                    async for event in written_events:
                        yield event
            assert self._answer is not None  # noqa: S101 - one of both has set it
            yield self._answer
        except BaseException as error:  # also when the client has gone in the middle
            raise self._ended_by(error) from error
        finally:
            self.served.queued -= 1
        self._record(OK)

    async def _written(self, prepared: Prepared) -> AsyncGenerator[Event, None]:
        generation, upstream = self._generation, self._upstream
        assert generation is not None and upstream is not None  # noqa: S101 - it has begun
        writing: Writing = self._parts.assistant.writing(prepared)
        finish: Finish = "stop"
        async with aclosing(generation.events(upstream)) as stream:  # type: ignore[type-var]  # it is a generator
            async for data in stream:
                text, ended = _read(data)
                finish = ended or finish
                if text:
                    for event in await self._in_thread(_all, writing.take(text)):
                        yield event
                if self._left() < 0:
                    finish = "time"
                    break
        for event in await self._in_thread(_all, writing.end()):
            yield event
        usage = generation.usage
        self._answer = writing.answer(
            Ended(
                finish=finish,
                prompt_tokens=usage.prompt_tokens,
                tokens=usage.completion_tokens or generation.tokens,
            ),
            self._asked,
        )

    async def _in_thread(self, step: Callable[..., Found], *given: object) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self.assistant.pool, step, *given)

    def _chunks(self) -> Chunks:
        return Chunks(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), self.served.name, self._versions())

    def _versions(self) -> dict[str, str]:
        """What answers."""
        parts = self._parts
        return {
            "index": f"{parts.index.name}@{parts.index.version}",
            "llm": f"{parts.llm.name}@{parts.llm.version}",
        }

    def _ended_by(self, error: BaseException) -> BaseException:
        """Record what ended it, and give what is to be raised."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._record(GONE, reason="the client has gone before it was answered")
            return error
        if isinstance(error, TimeoutError):
            seconds = self._parts.assistant.settings.limits.seconds
            error = DeadlinePassed(f"the answer did not begin within {seconds:g} s")
        if isinstance(error, Refused):
            self._record(error.status, reason=str(error))
        elif isinstance(error, Refusal):
            self._record(error.code, reason=str(error))
        else:
            self._record(Defect.code, reason="a defect of the server")
        return error

    def _record(self, code: int, *, reason: str = "") -> None:
        if code == OK and self._answer is not None:
            self.assistant.counts.add(self._answer.outcome, _seconds(self._answer), _sentences(self._answer))
        self._plane.recorder.record(self, code, reason=reason)


def _all(events: Iterable[Event]) -> list[Event]:
    return list(events)


def _seconds(answer: Answer) -> dict[str, float]:
    """The stages that there were: of a question that no passage is near to, those of the search alone."""
    stages: dict[str, float] = msgspec.to_builtins(answer.stages)
    written = stages["first_token"] > 0
    return {
        _STAGES.get(name, name): value / 1000
        for name, value in stages.items()
        if (value if name in _MODELS else name == "search" or written)
    }


def _sentences(answer: Answer) -> dict[str, int]:
    """How many state something, by whether a passage supports them."""
    return dict(Counter(each.support.verdict for each in answer.sentences if each.support.verdict != "empty"))


def _read(data: bytes) -> tuple[str, Finish | None]:
    """The text of events, and how they end the answer. Raises Failed for an error among them."""
    text, finish = "", None
    for event in data.split(END):
        body = event.removeprefix(b"data:").strip()
        if not body or body == b"[DONE]":
            continue
        try:
            piece = msgspec.json.decode(body, type=_Piece)
        except UNREADABLE as error:
            raise Failed("the language model sent what is no answer of the OpenAI API") from error
        if piece.error is not None:
            raise Failed(piece.error.message)
        for choice in piece.choices[:1]:
            text += (choice.delta and choice.delta.content) or ""
            if choice.finish_reason is not None:
                finish = _finish(choice.finish_reason)
    return text, finish


def _finish(reason: str) -> Finish:
    return "length" if reason == "length" else "stop"
