"""The data plane: everything that the server does, without a word of any transport.

A front reads its own wire format, calls this, and maps refusals to its own statuses. Traffic choice,
batching, shadows, observers and counts are behind it, the same for every front.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextvars import copy_context
from functools import partial
from typing import Literal

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.beside import Beside, Given, Result
from plimsoll.runtime.server.catalog import Catalog, Indexed
from plimsoll.runtime.server.counts import Counts
from plimsoll.runtime.server.identities.callers import present
from plimsoll.runtime.server.identities.gate import Gate
from plimsoll.runtime.server.inference import InferenceCall, Response
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.observers import Observers, still_wanted
from plimsoll.runtime.server.preparing import Preparing
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.recording import OK, Recorder
from plimsoll.runtime.server.refusals import (
    GONE,
    BadInput,
    Busy,
    Conflict,
    DeadlinePassed,
    Defect,
    NotReady,
    Refusal,
    Unservable,
)
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Answerer, Served
from plimsoll.runtime.server.shadowing import Shadowing
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array, BadTensor

Verb = Literal["load", "unload"]
SHARE_OF_COPIES = 4
"""The copies for shadow versions may hold one part in so many of the memory of all requests."""
MOST_TEXTS = 256 << 10
"""Texts of a request: ONNX Runtime copies each of them while nothing else in the process goes on."""
FEW = 8192
"""Values of a response that are written in the event loop."""


class Limits(Struct, frozen=True, kw_only=True):
    """`body` is in bytes of one request, `memory` in bytes of all requests under way together, bodies and tensors.

    `queue` is in requests that wait for a model, `seconds` is for one inference from the request's last byte on; over
    gRPC from its first byte on.
    """

    body: int = 64 << 20
    memory: int = 256 << 20
    queue: int = 256
    seconds: float = 30.0


class ModelMetadata(Struct, frozen=True, kw_only=True):
    """The tensors of a model version, and all versions of the model that are loaded.

    `kind` is what answers: an ONNX model, the user's own code, a search index, or a language model.
    """

    spec: ModelSpec
    versions: list[str]
    kind: Answerer = "onnx"


class DataPlane:
    """Answers requests with the models of a catalog."""

    def __init__(
        self,
        catalog: Catalog,
        observers: Observers | None = None,
        limits: Limits | None = None,
        administration: Administration | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.catalog = catalog
        self.observers = observers or Observers()
        self.limits = limits or Limits()
        self.administration = administration or Administration()
        self.gate = gate
        """Whom fronts ask before a request is read; without it everybody is answered."""
        self.memory = Memory(max(self.limits.memory, self.limits.body))
        self.ready = True
        """Whether the server accepts requests; false while it drains."""
        self.inferences = 0
        """Requests to models so far: a server that scales to zero stays up as long as this grows."""
        self.counts_of_all: Callable[[], Awaitable[Counts]] = self._own_counts
        """The counts of all processes of the server. A worker replaces it, as it knows the other processes."""
        self.change_in_all: Callable[[Verb, str], Awaitable[None]] = self.change
        """Loads or unloads a model in all processes of the server. A worker replaces it, as with `counts_of_all`."""
        self._beside = Beside("beside", self.limits.queue)
        self._adding = Beside("adding", self.limits.queue)
        """Threads for long requests and responses, and for what observers add: neither keeps the other waiting."""
        self._preparing = Preparing(self.observers)
        self.recorder = Recorder(self.observers)
        self._shadowing = Shadowing(
            self.recorder,
            queue=self.limits.queue,
            seconds=self.limits.seconds,
            memory=self.limits.memory // SHARE_OF_COPIES,
        )

    # Inference.

    async def infer(self, call: InferenceCall[Response]) -> Response:
        """The front's response to an inference request.

        Raises BadInput, NotFound, NotReady, Busy, DeadlinePassed.
        """
        response = self.infer_at_once(call)
        return await self.infer_later(call) if response is None else response

    def infer_at_once(self, call: InferenceCall[Response]) -> Response | None:
        """The response, when the model is so quick that a thread would cost more than it takes.

        `None` means that the request has been admitted to the model's queue: await `infer_later`. Two functions and not
        one, so that the usual small request needs no coroutine. Raises BadInput, NotFound, NotReady, Busy.
        """
        served = self._begin(call)
        try:
            request = call.request = call.read(served)
            if request.id and self.observers.watching_ids:
                self._require_own_id(served, request)
            if served.quick(request) and not (request.parameters and self.observers.watching):
                results = served.run_at_once(request)
                size = 0
                for array in results.values():
                    size += array.size
                if size <= FEW:
                    return self._answered(call, request, results)
                call.results = results
            self._admit(served)
        except BadTensor as bad:
            raise self._refused(call, BadInput(str(bad))) from bad
        except Refusal as refusal:
            self._refused(call, refusal)
            raise
        except Exception:  # a defect of ours is counted as one before the front answers it
            self.recorder.record(call, Defect.code, reason="a defect of the server")
            raise
        return None

    async def infer_later(self, call: InferenceCall[Response]) -> Response:
        """The response to an admitted request, computed in a thread.

        Raises BadInput, Busy, TooLarge, DeadlinePassed.
        """
        request = call.request
        assert request is not None  # noqa: S101 - it was read before it was admitted
        with self._recorded(call):
            results = call.results
            if results is None:
                results, call.batch = await call.served.run_later(request, self._left(call))
            return await self._answered_later(call, request, results)

    async def infer_long(self, call: InferenceCall[Response]) -> Response:
        """The response to a request whose body is long: it may be read in a thread.

        Raises BadInput, NotFound, NotReady, Busy, TooLarge, DeadlinePassed.
        """
        served = self._begin(call)
        with Reading(self.memory, self._deadline(call), self._share()) as reading:
            with self._recorded(call):
                if call.is_long(served):
                    call.request = await self._beside.run(self._left(call), call.read_long, served, reading)
                else:
                    call.request = call.read(served)
                if call.request.id:
                    self._require_own_id(served, call.request)
                _require_few_texts(call.request)
                self._admit(served)
            return await self.infer_later(call)

    def _begin(self, call: InferenceCall[Response]) -> Served:
        """The model for a request. Raises NotFound, NotReady."""
        call.began = time.perf_counter()
        self.inferences += 1
        if self.observers.blocked:
            self.observers.unrecorded += 1
            raise NotReady(self.observers.blocked)
        try:
            served = call.served = self.catalog.choose(call.model, call.version, call.headers)
        except Refusal as refusal:
            self.recorder.record_unserved(call.model, call.version, call.headers, call.client, refusal)
            raise
        return served

    def reading(self, began: float) -> Reading:
        """The limits of a request that a front begins to read before it knows the model; a context.

        `began` is a time of `time.perf_counter`.
        """
        return Reading(self.memory, began + self.limits.seconds, self._share())

    def _share(self) -> Memory | None:
        """What the caller of the present request may hold of the memory."""
        return self.gate.share_of(present.get()) if self.gate is not None else None

    async def beside(
        self, began: float, step: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """The result of a step of a front, in a thread. Raises what it raises, Busy, DeadlinePassed."""
        left = began + self.limits.seconds - time.perf_counter()
        try:
            return await self._beside.run(left, step, *args, **kwargs)
        except TimeoutError as late:
            raise DeadlinePassed(f"the request was not read within {self.limits.seconds:g} s") from late

    def _left(self, call: InferenceCall[Response]) -> float:
        """Seconds that are left for a request: reading, computing and writing have one limit together."""
        return self._deadline(call) - time.perf_counter()

    def _deadline(self, call: InferenceCall[Response]) -> float:
        return call.began - call.spent + self.limits.seconds

    @contextlib.contextmanager
    def _recorded(self, call: InferenceCall[Response]) -> Iterator[None]:
        """Record the refusal that ends a request, and raise it."""
        try:
            yield
        except BadTensor as bad:
            raise self._refused(call, BadInput(str(bad))) from bad
        except TimeoutError as late:
            reason = f"the model did not answer within {self.limits.seconds:g} s"
            raise self._refused(call, DeadlinePassed(reason)) from late
        except Refusal as refusal:
            self._refused(call, refusal)
            raise
        except asyncio.CancelledError:
            self.recorder.record(call, GONE, reason="the client has gone before it was answered")
            raise
        except Exception:  # a defect of ours is counted as one before the front answers it
            self.recorder.record(call, Defect.code, reason="a defect of the server")
            raise

    def _require_own_id(self, served: Served, request: InferenceRequest) -> None:
        """Raise Conflict when an observer still needs the id of the request for another one."""
        for observer in self.observers.watching_ids:
            if request.id and (reason := observer.conflict(served.model, request.id, request.inputs)):
                raise Conflict(reason)

    def _admit(self, served: Served) -> None:
        """Raise Busy when the model's queue is full."""
        if served.queued >= self.limits.queue:
            seconds = max(1, min(60, math.ceil(served.queued * served.typical_seconds)))
            reason = f"the queue of model '{served.name}' is full: {served.queued} requests are waiting"
            raise Busy(reason, retry_after=seconds)

    async def _answered_later(
        self, call: InferenceCall[Response], request: InferenceRequest, results: dict[str, Array]
    ) -> Response:
        """As `_answered`, with what observers add and with long responses, which are made in threads."""
        if request.parameters and self.observers.watching:
            await self._preparing.done(call.served, request.parameters, self._left(call))
            still_wanted.set(Reading(self.memory, self._deadline(call)).still_wanted)
            more = partial(self._with_observers_outputs, call.served, request, results)
            results = await self._adding.run(self._left(call), copy_context().run, more)
        if sum(array.size for array in results.values()) <= FEW:
            return self._answered(call, request, results)
        response = await self._beside.run(self._left(call), call.write, results)
        self.recorder.record(call, OK, results)
        if self.catalog.has_shadows:
            self._copy_to_shadows(call, request)
        return response

    def _answered(
        self, call: InferenceCall[Response], request: InferenceRequest, results: dict[str, Array]
    ) -> Response:
        response = call.write(results)
        self.recorder.record(call, OK, results)
        if self.catalog.has_shadows:
            self._copy_to_shadows(call, request)
        return response

    def _copy_to_shadows(self, call: InferenceCall[Response], request: InferenceRequest) -> None:
        for shadow in self.catalog.shadows(call.served):
            self._shadowing.copy(shadow, request, call)

    def _with_observers_outputs(
        self, served: Served, request: InferenceRequest, results: dict[str, Array]
    ) -> dict[str, Array]:
        """The results with the outputs that observers add, such as explanations. Raises BadTensor."""
        more: dict[str, Array] = {}
        for observer in self.observers.watching:
            more |= observer.more_outputs(served.model, request.parameters, request.inputs, results)
        return {**results, **more}

    def _refused(self, call: InferenceCall[Response], refusal: Refusal) -> Refusal:
        self.recorder.record(call, refusal.code, reason=str(refusal))
        return refusal

    def refused_before(self, model: str, headers: Mapping[str, str], client: str, refusal: Refusal) -> None:
        """Record that a request for an inference was refused before it could be read."""
        self.recorder.record_unserved(model, None, headers, client, refusal)

    def called(
        self,
        call: str,
        headers: Mapping[str, str],
        client: str,
        status: int,
        reason: str = "",
        began: float | None = None,
    ) -> None:
        """Record a request that is no inference, or that was refused before it was known to be one."""
        if self.observers.sees_changes:
            self.recorder.record_call(call, headers, client, status, reason, began)

    @property
    def accepting(self) -> bool:
        """Whether inferences are answered: a version is up, the server does not end, and can record what it must."""
        return self.ready and not self.observers.blocked and self.catalog.answering

    def metadata(self, model: str, version: str | None) -> ModelMetadata:
        """What a model takes and gives. Raises NotFound, NotReady."""
        served = self.catalog.choose(model, version, {})
        versions = self.catalog.versions(model)
        return ModelMetadata(spec=served.model.spec, versions=versions, kind=served.kind)

    def model_ready(self, model: str, version: str | None) -> bool:
        """Whether a model, or one version of it, answers requests. Raises NotFound."""
        try:
            served = self.catalog.choose(model, version, {})
        except NotReady:
            return False
        return self.accepting and not served.problem

    def index(self) -> list[Indexed]:
        """Every version that the server is configured to serve, with its state. Raises Unservable."""
        try:
            return self.catalog.index()
        except PlimsollError as error:
            raise Unservable(error.on_one_line()) from error

    async def load(self, model: str, headers: Mapping[str, str], client: str) -> None:
        """Load all versions of a model again, in all processes. Raises Forbidden, NotFound, Unservable."""
        await self._change_in_all("load", model, headers, client)

    async def unload(self, model: str, headers: Mapping[str, str], client: str) -> None:
        """Unload a model in all processes; requests to it that have begun are answered.

        Raises Forbidden, NotFound, Unservable.
        """
        await self._change_in_all("unload", model, headers, client)

    async def _change_in_all(self, verb: Verb, model: str, headers: Mapping[str, str], client: str) -> None:
        async with self.administered(verb, model, headers, client):
            await self.change_in_all(verb, model)

    @contextlib.asynccontextmanager
    async def administered(
        self, event: str, model: str, headers: Mapping[str, str], client: str
    ) -> AsyncIterator[None]:
        """For what only an administrator may do to a model: the token is checked before it, and what became of it is
        recorded as an event. Raises Forbidden, and Unservable for a PlimsollError.
        """
        began = time.perf_counter()
        failure: Refusal | None = None
        try:
            await self.administration.check(headers)
            yield
        except Refusal as refusal:
            failure = refusal
            raise
        except PlimsollError as error:
            failure = Unservable(error.on_one_line())
            raise failure from error
        except Exception:  # a defect of ours is recorded as one before the front answers it
            failure = Defect("a defect of the server")
            raise
        finally:
            self.recorder.record_event(event, model, headers, client, failure, began=began)

    async def change(self, verb: Verb, model: str) -> None:
        """Load or unload a model in this process only. Raises NotFound, PlimsollError."""
        await (self.catalog.load(model) if verb == "load" else self.catalog.unload(model))

    async def _own_counts(self) -> Counts:
        return Counts(counts=self.catalog.counts(), lost=self.observers.lost)


def _require_few_texts(request: InferenceRequest) -> None:
    """Raise BadInput for a request with more texts than all others can wait for."""
    count = sum(array.size for array in request.inputs.values() if array.dtype.kind == "O")
    if count > MOST_TEXTS:
        raise BadInput(f"the request has {count} texts, at most {MOST_TEXTS} are computed at once; send it in parts")
