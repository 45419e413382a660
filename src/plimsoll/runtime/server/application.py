"""What a server answers: the protocol's resources, statuses and limits around the exchange."""

from __future__ import annotations

import asyncio
import math
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from plimsoll import __version__
from plimsoll.errors import PlimsollError
from plimsoll.runtime.server.catalog import Catalog, NoModel, Unavailable
from plimsoll.runtime.server.exchange import Question
from plimsoll.runtime.server.heads import Head
from plimsoll.runtime.server.observers import Answer, Observer, Observers
from plimsoll.runtime.server.resources import NoResource, Resource, resource_at
from plimsoll.runtime.server.responses import BINARY, Buffer, Reply, Response, error, json_response
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.tensors import Array, BadTensor


class Limits(Struct, frozen=True, kw_only=True):
    """`body` in bytes; `queue` is how many requests may wait for a model's threads; `seconds` for one inference."""

    body: int = 64 << 20
    queue: int = 256
    seconds: float = 30.0


class Refused(Exception):
    """A request that is answered with an error status, a reason and further header lines."""

    def __init__(self, status: int, reason: str, headers: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class Application:
    """Serves the models of a catalog."""

    def __init__(self, catalog: Catalog, observers: Observers | None = None, limits: Limits | None = None) -> None:
        self.catalog = catalog
        self.observers = observers or Observers()
        self.limits = limits or Limits()
        self.largest_body = self.limits.body
        self.ready = True
        self.answered = 0
        """Requests of any kind, for whoever measures how busy the server is."""
        self.inferences = 0
        """Requests to models: what keeps a server that scales to zero awake."""
        self.page: Callable[[], Awaitable[bytes]] | None = None
        """Gives the metrics page; set by who knows of all processes."""
        self.changed: Callable[[str, str], Awaitable[None]] = self.change
        """Loads or unloads a model; set by who knows of all processes."""
        self._copies: set[asyncio.Task[None]] = set()

    def respond(self, head: Head, body: Buffer, client: str) -> Reply:
        """Answer one request, at once where that can be done."""
        self.answered += 1
        try:
            resource = head.resource
            if resource is None:
                resource = head.resource = self._resource(head)
            if type(resource) is not Resource:
                return _guarded(self._observed(resource, head, body))
            if resource.kind == "infer":
                return self._infer(resource, head, body, client)
            reply = self._other(resource)
            return reply if isinstance(reply, Response) else _guarded(reply)
        except Refused as refused:
            return error(refused.status, str(refused), refused.headers)
        except (NoModel, NoResource) as missing:
            return error(404, str(missing))
        except Unavailable as unavailable:
            return error(503, str(unavailable), b"retry-after: 1\r\n")
        except Exception:  # noqa: BLE001 - a defect of ours is answered and said, and ends no one else's request
            return _defect()

    def model_of(self, head: Head) -> str:
        """The model that a request is for; empty when it is for none."""
        try:
            resource = head.resource or self._resource(head)
        except (NoResource, Refused):
            return ""
        return resource.model if isinstance(resource, Resource) and resource.kind == "infer" else ""

    def _resource(self, head: Head) -> Resource | Observer:
        observer = self.observers.at(head.path)
        if observer is not None:
            return observer
        resource = resource_at(head.path)
        allowed = {resource.method, "HEAD"} if resource.method == "GET" else {resource.method}
        if head.method not in allowed:
            allow = b"allow: %b\r\n" % ", ".join(sorted(allowed)).encode()
            raise Refused(405, f"{head.path[:200]} takes {resource.method}, not {head.method}", allow)
        return resource

    async def _observed(self, observer: Observer, head: Head, body: Buffer) -> Response:
        reply = await asyncio.to_thread(observer.respond, head.method, head.path, bytes(body))
        return Response(reply.status, reply.body, reply.content_type.encode())

    # Inference.

    def _infer(self, resource: Resource, head: Head, body: Buffer, client: str) -> Reply:
        began = time.perf_counter()
        self.inferences += 1
        served = self.catalog.choose(resource.model, resource.version, head.headers)
        inference = Inference(served, began, head.headers, client)
        try:
            question = inference.question = served.exchange.read(body, head.json_length)
            if served.quick(question):
                return self.answer(inference, served.run_at_once(question))
            self.admit(served)
        except BadTensor as bad:
            return self._failed(inference, 400, str(bad))
        except Refused as refused:
            return self._failed(inference, refused.status, str(refused), refused.headers)
        return self._infer_later(inference, question)

    async def _infer_later(self, inference: Inference, question: Question) -> Response:
        try:
            results = await self.compute(inference, question)
            return self.answer(inference, results)
        except BadTensor as bad:
            return self._failed(inference, 400, str(bad))
        except Exception as failure:  # noqa: BLE001 - as in `respond`
            if not isinstance(failure, TimeoutError):
                self.note(inference, 500, reason="a defect")
                return _defect()
            return self._failed(inference, 504, f"the model did not answer within {self.limits.seconds:g} s")

    def admit(self, served: Served) -> None:
        """Raise Refused when too many requests wait for a model already."""
        if served.queued >= self.limits.queue:
            seconds = max(1, min(60, math.ceil(served.queued * served.typical_seconds)))
            reason = f"{served.queued} requests wait for model '{served.name}', which is as many as may"
            raise Refused(503, reason, b"retry-after: %d\r\n" % seconds)

    async def compute(self, inference: Inference, question: Question) -> dict[str, Array]:
        """The outputs, computed in a thread. Raises BadTensor, TimeoutError."""
        results, inference.batch = await inference.served.run_later(question, self.limits.seconds)
        return results

    async def results(self, inference: Inference, question: Question) -> dict[str, Array]:
        """All outputs of a request, computed where that is best. Raises BadTensor, Refused, TimeoutError."""
        served = inference.served
        if served.quick(question):
            results = served.run_at_once(question)
        else:
            self.admit(served)
            results = await self.compute(inference, question)
        return self.with_more_outputs(served, question, results) if question.parameters else results

    def answer(self, inference: Inference, results: dict[str, Array]) -> Response:
        """The response for results. Raises BadTensor from what adds outputs."""
        served, question = inference.served, inference.question
        assert question is not None  # noqa: S101 - there are results
        if question.parameters:
            results = self.with_more_outputs(served, question, results)
        body, json_length = served.exchange.write(question, results)
        self.note(inference, 200, results=results)
        if json_length is None:
            return Response(200, body)
        return Response(200, body, BINARY, b"inference-header-content-length: %d\r\n" % json_length)

    def with_more_outputs(self, served: Served, question: Question, results: dict[str, Array]) -> dict[str, Array]:
        """What observers add to a request that has parameters. Raises BadTensor."""
        more: dict[str, Array] = {}
        for observer in self.observers.watching:
            more |= observer.more_outputs(served.model, question.parameters, question.inputs, results)
        return {**results, **more}

    def _failed(self, inference: Inference, status: int, reason: str, headers: bytes = b"") -> Response:
        self.note(inference, status, reason=reason)
        return error(status, reason, headers)

    def note(
        self, inference: Inference, status: int, *, results: Mapping[str, Array] | None = None, reason: str = ""
    ) -> None:
        """Count an answer, tell the observers, and start the copies."""
        served, question = inference.served, inference.question
        seconds = time.perf_counter() - inference.began
        record = served.shadow_record if inference.shadow else served.record
        record.add(status, seconds)
        record.runs += 1 / inference.batch
        if self.observers.watching:
            wanted = self.observers.headers
            self.observers.answered(
                Answer(
                    model=served.name,
                    version=served.version,
                    digest=served.model.digest,
                    status=status,
                    began=time.time() - seconds,
                    seconds=seconds,
                    inputs=question.inputs if question else {},
                    outputs=results or {},
                    headers={name: value for name, value in inference.headers.items() if name in wanted},
                    client=inference.client,
                    id=question.id if question else None,
                    batch=inference.batch,
                    shadow=inference.shadow,
                    reason=reason,
                )
            )
        if question is not None and not inference.shadow and status == 200:
            for shadow in self.catalog.shadows(served):
                self._copy(shadow, question, inference)

    def _copy(self, served: Served, question: Question, of: Inference) -> None:
        """Let a version compute a request whose answer nobody gets; what is too much for it is left out, counted."""
        if served.queued >= self.limits.queue:
            served.shadow_record.add(503, 0.0)
            return
        copy = Inference(served, time.perf_counter(), of.headers, of.client, question=question, shadow=True)
        task = asyncio.get_running_loop().create_task(self._compute_copy(copy, question))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _compute_copy(self, copy: Inference, question: Question) -> None:
        try:
            results = await self.compute(copy, question)
        except BadTensor as bad:
            self.note(copy, 400, reason=str(bad))
        except TimeoutError:
            self.note(copy, 504, reason="the copy was not answered in time")
        else:
            self.note(copy, 200, results=results)

    # All else.

    def _other(self, resource: Resource) -> Reply:
        match resource.kind:
            case "live":
                return json_response({"live": True})
            case "ready":
                return json_response({"ready": self.ready}, 200 if self.ready else 503)
            case "server":
                return json_response(self.server_metadata())
            case "metrics":
                return self._metrics()
            case "index":
                return json_response(self.catalog.index())
            case "load" | "unload":
                return self._change(resource.kind, resource.model)
        if resource.kind == "model-ready":
            try:
                self.catalog.choose(resource.model, resource.version, {})
            except Unavailable:
                return json_response({"name": resource.model, "ready": False}, 503)
            return json_response({"name": resource.model, "ready": self.ready}, 200 if self.ready else 503)
        return json_response(self.metadata(resource.model, resource.version))

    def server_metadata(self) -> dict[str, Any]:
        """The protocol's metadata of the server."""
        return {"name": "plimsoll", "version": __version__, "extensions": ["binary_tensor_data", "model_repository"]}

    def metadata(self, model: str, version: str | None) -> dict[str, Any]:
        """The protocol's metadata of a model. Raises NoModel, Unavailable."""
        served = self.catalog.choose(model, version, {})
        spec = served.model.spec
        metadata: dict[str, Any] = {
            "name": spec.name,
            "versions": self.catalog.versions(model),
            "platform": "onnxruntime_onnx",
            "inputs": spec.inputs,
            "outputs": spec.outputs,
        }
        parameters = {"features": spec.features, "classes": spec.classes}
        told = {name: value for name, value in parameters.items() if value}
        return {**metadata, "parameters": told} if told else metadata

    async def _metrics(self) -> Response:
        page = await self.page() if self.page else b""
        from plimsoll.runtime.server.metrics import CONTENT_TYPE

        return Response(200, page + self.observers.page(), CONTENT_TYPE.encode())

    async def _change(self, verb: str, model: str) -> Response:
        try:
            await self.changed(verb, model)
        except NoModel as missing:
            return error(404, str(missing))
        except PlimsollError as failure:
            return error(400, failure.on_one_line())
        return Response(200, b"")

    async def change(self, verb: str, model: str) -> None:
        """Load or unload a model in this process. Raises NoModel, PlimsollError."""
        await (self.catalog.load(model) if verb == "load" else self.catalog.unload(model))


async def _guarded(reply: Awaitable[Response]) -> Response:
    """The reply, or that there is a defect: a connection must not wait for ever for what has failed."""
    try:
        return await reply
    except Exception:  # noqa: BLE001 - as in `respond`
        return _defect()


def _defect() -> Response:
    sys.stderr.write(f"this is a defect of plimsoll, please report it:\n{traceback.format_exc()}")
    return error(500, "this is a defect of the server; its log has the details")


class Inference:
    """One request on its way through the server. `began` is of `time.perf_counter`."""

    __slots__ = ("batch", "began", "client", "headers", "question", "served", "shadow")

    def __init__(
        self,
        served: Served,
        began: float,
        headers: Mapping[str, str],
        client: str,
        *,
        question: Question | None = None,
        shadow: bool = False,
    ) -> None:
        self.served = served
        self.began = began
        self.headers = headers
        self.client = client
        self.question = question
        self.shadow = shadow
        self.batch = 1
