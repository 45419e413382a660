"""Answers of language models on their way: the turn, the limits, the tokens, and what is recorded of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

from plimsoll.llms.errors import BadRequest, error_event, of_upstream
from plimsoll.llms.events import Events, TooLong, Usage, text_in, text_of_stream, usage_in
from plimsoll.llms.joining import ErrorInStream, Joined, NotJoined
from plimsoll.llms.prefixes import blocks_of
from plimsoll.llms.requests import OPERATIONS, PATHS, Asked, written
from plimsoll.llms.upstream import Answer, Headers, UpstreamGone, passing, whole
from plimsoll.runtime.server.counts import EACH_TOKEN, FIRST_TOKEN
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.inference import Inference
from plimsoll.runtime.server.llms.served import ServedLlm
from plimsoll.runtime.server.observers import Generated
from plimsoll.runtime.server.recording import OK
from plimsoll.runtime.server.refusals import GONE, DeadlinePassed, Defect, Failed, NotFound, NotReady, Refusal

MOST_NAMES = 20
MOST_OF_EVENTS = 256 << 20
"""Bytes of the events of one whole answer: with `logprobs` a token has some thousands."""


class Refused(Exception):
    """An answer that is an error; `status` is of HTTP."""

    def __init__(self, status: int, request: BadRequest, retry_after: int | None = None) -> None:
        super().__init__(str(request))
        self.status = status
        self.param, self.code = request.param, request.code
        self.retry_after = retry_after


class Generations:
    """Begins answers with the language models of a data plane."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def models(self) -> list[ServedLlm]:
        """All language models that are loaded."""
        return [served for served in self._plane.catalog.all() if isinstance(served, ServedLlm)]

    def assistants(self) -> list[str]:
        """The names of all assistants that are loaded."""
        return list(dict.fromkeys(each.name for each in self._plane.catalog.all() if each.kind == "assistant"))

    def find(self, name: str) -> ServedLlm:
        """The one that a request names. Raises NotFound."""
        models = self.models()
        for served in models:
            if name in served.names:
                return served
        known = [*self.assistants(), *(name for served in models for name in served.names)]
        has = ", ".join(f"'{each}'" for each in known[:MOST_NAMES]) or "none"
        raise NotFound(f"there is no language model '{name[:80]}'; this server has {has}")

    def begin(self, asked: Asked, headers: Mapping[str, str], client: str) -> Generation:
        """An answer that has not begun. Raises NotFound, NotReady, BadRequest."""
        self._plane.inferences += 1
        served = self.find(asked.model)
        if self._plane.observers.blocked:
            raise NotReady(self._plane.observers.blocked)
        if served.problem:
            raise NotReady(served.problem)
        body = written(asked, served.settings, served.adapters, in_pieces=served.in_pieces)
        return Generation(self._plane, served, asked, body, headers, client)


class Generation(Inference):
    """One answer. Whoever has it calls `answer` or iterates over `events`, once."""

    __slots__ = (
        "_blocks",
        "_body",
        "_entered",
        "_plane",
        "_replica",
        "_said",
        "asked",
        "first_token",
        "language_model",
        "tokens",
        "usage",
        "waited",
    )

    def __init__(
        self,
        plane: DataPlane,
        served: ServedLlm,
        asked: Asked,
        body: bytes,
        headers: Mapping[str, str],
        client: str,
    ) -> None:
        super().__init__(headers, client)
        self._plane = plane
        self.served = self.language_model = served
        self.asked = asked
        self._body = body
        self._said: list[bytes] | None = [] if plane.observers.wants_texts else None
        """What it has sent, where somebody asks for that."""
        self._blocks = blocks_of(asked) if served.replicas.looks_at_beginnings else ()
        self._replica = 0
        self._entered = 0.0
        """When its turn came, and at which replica."""
        self.began = time.perf_counter()
        self.waited = 0.0
        """Seconds until it was its turn."""
        self.first_token = 0.0
        """Seconds until the first token; 0 as long as there is none."""
        self.tokens = 0
        """Tokens so far; `usage` counts in the end."""
        self.usage = Usage()

    async def answer(self) -> bytes:
        """The whole answer. Raises Refused."""
        try:
            async with asyncio.timeout(self._left()):
                upstream = await self._enter()
                try:
                    body = await self._whole(upstream)
                finally:
                    await self._leave(upstream)
        except BaseException as error:  # a client that has gone cancels it: that is recorded too
            raise self._ended_by(error) from error
        self.usage = usage_in(body)[0] or Usage(completion_tokens=self.tokens)
        if self._said is not None:
            self._said.append(body)
        self._record(OK)
        return body

    async def begin(self) -> Answer:
        """Wait for the turn and for the first line of the answer. Raises Refused: nothing has been sent yet."""
        upstream: Answer | None = None
        try:
            async with asyncio.timeout(self._left()):
                upstream = await self._enter()
                if upstream.status != OK:
                    await self._accepted(upstream)
        except BaseException as error:  # a client that has gone cancels it: its place must be freed
            if upstream is not None:
                await self._leave(upstream)
            raise self._ended_by(error) from error
        return upstream

    async def events(self, upstream: Answer) -> AsyncIterator[bytes]:
        """The events of what has begun, as they come. One that breaks off ends with an event that says why."""
        events = Events(with_usage=self.asked.with_usage)
        problem: BaseException | None = None
        try:
            while True:
                async with asyncio.timeout(self._left()):
                    data = await upstream.next()
                if not data:
                    break
                ready = events.take(data)
                self.tokens = events.tokens
                if self.tokens and not self.first_token:
                    self.first_token = time.perf_counter() - self.began
                if ready:
                    if self._said is not None:
                        self._said.append(ready)
                    yield ready
            if not events.done:
                problem = UpstreamGone("it ended in the middle of its answer")
        except (TimeoutError, UpstreamGone, TooLong) as error:
            problem = error
        except BaseException as error:  # the client has gone, or there is a defect: nobody is left to be told
            await self._leave(upstream)
            raise self._ended_by(error) from error
        await self._leave(upstream)
        self.usage = events.usage or Usage(completion_tokens=events.tokens)
        if problem is None:
            self._record(OK)
            return
        refused = self._ended_by(problem)
        yield error_event(getattr(refused, "status", 500), str(refused))

    def generated(self) -> Generated:
        """Its tokens and times, and its texts where somebody asks for them."""
        texts = self._said is not None
        said = b"".join(self._said or ())
        return Generated(
            operation=OPERATIONS[self.asked.kind],
            route=PATHS[self.asked.kind],
            engine=self.language_model.settings.engine,
            asked=self.asked.model,
            stream=self.asked.stream,
            input_tokens=self.usage.prompt_tokens,
            output_tokens=self.usage.completion_tokens or self.tokens,
            cached_tokens=self.usage.cached_tokens,
            most_tokens=self.asked.tokens or self.language_model.settings.tokens,
            waited=self.waited,
            first_token=self.first_token,
            question=self.asked.question if texts else None,
            answer=(text_of_stream(said) if self.asked.stream else text_in(said)) if texts else "",
        )

    # Its parts.

    def _left(self) -> float:
        return self.began + self.language_model.settings.seconds - time.perf_counter()

    async def _enter(self) -> Answer:
        """Raises Busy, UpstreamGone."""
        self.language_model.queued += 1
        try:
            return await self._asked_in_turn()
        except BaseException:  # also when the client has gone before the first token
            self.language_model.queued -= 1
            raise

    async def _asked_in_turn(self) -> Answer:
        """The answer of the replica whose turn came, or of another where that one had ended before.

        One that ends with the request is not followed by another: the same request may end that too. Raises Busy,
        UpstreamGone.
        """
        replicas = self.language_model.replicas
        tried: set[int] = set()
        while True:
            await self._turn(tried)
            try:
                return await replicas.upstream(self._replica).ask(PATHS[self.asked.kind], self._body, self._passed())
            except UpstreamGone as gone:
                self._give_back()
                tried.add(self._replica)
                if gone.reached or len(tried) == len(replicas):
                    raise
            except BaseException:  # also when the client has gone before the first token
                self._give_back()
                raise

    def _passed(self) -> Headers:
        """What of the request's headers reaches the engine."""
        endpoint = self.language_model.settings.endpoint
        return passing(endpoint.passes, self.headers) if endpoint is not None and endpoint.passes else ()

    async def _turn(self, tried: set[int]) -> None:
        """Wait for the turn at a replica. Raises Busy."""
        served = self.language_model
        if len(served.replicas) == 1:
            self._replica = await served.gate.enter()
        else:
            chosen = served.replicas.choose(self._blocks, served.gate.loads, tried)
            self._replica = await served.gate.enter(chosen.replica, again=bool(tried))
            if self._replica != chosen.replica:
                served.replicas.began(self._blocks, self._replica)
            why = chosen.why if self._replica == chosen.replica or chosen.why == "new" else "load"
            served.counts.routed[why] = served.counts.routed.get(why, 0) + 1
        self._entered = time.perf_counter()
        self.waited = self._entered - self.began

    async def _leave(self, upstream: Answer) -> None:
        self.language_model.queued -= 1
        self._give_back()
        await upstream.close()

    def _give_back(self) -> None:
        self.language_model.gate.leave(time.perf_counter() - self._entered, self._replica)

    async def _whole(self, upstream: Answer) -> bytes:
        """The body of a whole answer, also of one that comes in pieces. Raises Refused, UpstreamGone, TooLong."""
        if upstream.status != OK or not self.language_model.in_pieces:
            return await self._accepted(upstream)
        events, joined, size = Events(with_usage=True), Joined(), 0
        try:
            while data := await upstream.next():
                size += len(data)
                if size > MOST_OF_EVENTS:
                    raise UpstreamGone(f"it sends more than {MOST_OF_EVENTS >> 20} MiB in one answer")
                joined.take(events.take(data))
                self.tokens = events.tokens
            if not events.done:
                raise UpstreamGone("it ended in the middle of its answer")
            return joined.answer()
        except ErrorInStream as error:
            raise self._refused(error.status, error.body, None) from error
        except NotJoined as error:
            raise UpstreamGone(str(error)) from error

    async def _accepted(self, upstream: Answer) -> bytes:
        """The body of an answer. Raises Refused for one that is an error."""
        body = await whole(upstream)
        if upstream.status != OK:
            raise self._refused(upstream.status, body, upstream.retry_after)
        return body

    def _refused(self, status: int, body: bytes, retry_after: int | None) -> Refused:
        refusal = of_upstream(status, body, self.language_model.who)
        return Refused(refusal.status, refusal, retry_after)

    def _ended_by(self, error: BaseException) -> BaseException:
        """Record what ended it, and give what is to be raised."""
        served = self.language_model
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._record(GONE, reason="the client has gone before it was answered")
            return error
        if isinstance(error, Refused):
            self._record(error.status, reason=str(error))
            return error
        known: Refusal | None = error if isinstance(error, Refusal) else None
        if isinstance(error, TimeoutError):
            known = DeadlinePassed(f"the answer was not complete within {served.settings.seconds:g} s")
        elif isinstance(error, UpstreamGone):
            known = Failed(f"{served.who} failed: {served.problem or error}")
        elif isinstance(error, TooLong):
            known = Failed(f"{served.who} sends events without an end")
        if known is None:
            self._record(Defect.code, reason="a defect of the server")
            return error
        self._record(known.code, reason=str(known))
        return known

    def _record(self, code: int, *, reason: str = "") -> None:
        counts, usage = self.language_model.counts, self.usage
        counts.prompt_tokens += usage.prompt_tokens
        counts.cached_tokens += usage.cached_tokens
        counts.completion_tokens += usage.completion_tokens or self.tokens
        counts.waited.add(FIRST_TOKEN, self.waited)
        if self.first_token:
            counts.first_token.add(FIRST_TOKEN, self.first_token)
            if self.tokens > 1:
                rest = time.perf_counter() - self.began - self.first_token
                counts.each_token.add(EACH_TOKEN, rest / (self.tokens - 1))
        self._plane.recorder.record(self, code, reason=reason)
