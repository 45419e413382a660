"""The ASGI application: paths and statuses of the protocol around the exchange."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from plimsoll import __version__
from plimsoll.runtime.model import Model
from plimsoll.runtime.server.exchange import Question, decode, encode
from plimsoll.runtime.server.metrics import Metrics
from plimsoll.runtime.server.observers import Answer, Observers
from plimsoll.runtime.tensors import Array, BadTensor

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LARGEST_BODY = 64 << 20
"""Bytes of a request, unless the server is told otherwise."""
SMALL = 4096
"""Elements of a request up to which a quick model runs at once: a thread would cost more than it takes."""
QUICK = 0.001
"""Seconds within which a model is quick, by its slowest recent run."""
JSON = b"application/json"


class Refused(Exception):
    """A request that is answered with an error status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Application:
    """Serves one model version."""

    def __init__(
        self,
        model: Model,
        version: str,
        *,
        threads: int = 1,
        largest_body: int = LARGEST_BODY,
        observers: Observers | None = None,
    ) -> None:
        self.model = model
        self.observers = observers or Observers()
        self.version = version
        self.ready = True
        self.metrics = Metrics(model.spec.name, version)
        self.largest_body = largest_body
        self._pool = ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="infer")
        self._slowest = QUICK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: list[tuple[bytes, bytes]] = [(b"content-type", JSON)]
        try:
            status, body = await self._answer(scope, receive, headers)
        except Refused as refused:
            status, body = refused.status, msgspec.json.encode({"error": str(refused)})
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        parts = [part for part in scope["path"].split("/") if part]
        wanted = "POST" if parts[:2] == ["v2", "models"] and parts[-1] == "infer" else "GET"
        if parts == ["metrics"]:
            headers[0] = (b"content-type", self.metrics.content_type.encode())
            self._only(scope, wanted)
            return 200, self.metrics.page() + self.observers.page()
        observer = self.observers.at(scope["path"])
        if observer is not None:
            body = await self._body(receive)
            reply = await asyncio.to_thread(observer.respond, scope["method"], scope["path"], body)
            headers[0] = (b"content-type", reply.content_type.encode())
            return reply.status, reply.body
        what = self._resource(parts)
        self._only(scope, wanted)
        if what == "infer":
            return await self._infer(scope, receive, headers)
        if what in {"live", "ready"}:
            holds = what == "live" or self.ready
            name = {"name": self.model.spec.name} if parts[1] == "models" else {}
            return (200 if holds else 503), msgspec.json.encode({**name, what: holds})
        return 200, msgspec.json.encode(self._model_metadata() if what == "model" else self._server_metadata())

    def _only(self, scope: Scope, method: str) -> None:
        allowed = {method, "HEAD"} if method == "GET" else {method}
        if scope["method"] not in allowed:
            raise Refused(405, f"{scope['path']} takes {method}, not {scope['method']}")

    def _resource(self, parts: list[str]) -> str:
        """Which of the protocol's resources a path names. Raises Refused with 404."""
        if parts == ["v2"]:
            return "server"
        if parts[:2] == ["v2", "health"] and parts[2:] in (["live"], ["ready"]):
            return parts[2]
        if parts[:2] != ["v2", "models"] or len(parts) < 3:
            raise Refused(404, "there is nothing here; the protocol's paths start with /v2/models")
        if parts[2] != self.model.spec.name:
            raise Refused(404, f"there is no model '{parts[2][:80]}' here, only '{self.model.spec.name}'")
        rest = parts[3:]
        if rest[:1] == ["versions"] and len(rest) > 1:
            if rest[1] != self.version:
                raise Refused(404, f"there is no version '{rest[1][:20]}' here, only '{self.version}'")
            rest = rest[2:]
        resources = {(): "model", ("ready",): "ready", ("infer",): "infer"}
        if tuple(rest) not in resources:
            raise Refused(404, f"a model has no '{'/'.join(rest)[:80]}'")
        return resources[tuple(rest)]

    async def _infer(self, scope: Scope, receive: Receive, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        status = 500
        reason = ""
        inputs: dict[str, Array] = {}
        results: dict[str, Array] = {}
        self.metrics.under_way.inc()
        began = time.perf_counter()
        try:
            body = await self._body(receive)
            question = decode(body, _header_length(scope), self.model)
            inputs = question.inputs
            results = await self._run(question)
            if question.parameters:
                for observer in self.observers.watching:
                    results |= observer.more_outputs(self.model, question.parameters, inputs, results)
            answer, head = encode(question, self.model, self.version, results)
            if head is not None:
                headers[0] = (b"content-type", b"application/octet-stream")
                headers.append((b"inference-header-content-length", str(head).encode()))
            status = 200
        except BadTensor as error:
            status, reason = 400, str(error)
            raise Refused(400, str(error)) from error
        except Refused as refused:
            status, reason = refused.status, str(refused)
            raise
        finally:
            self.metrics.under_way.dec()
            seconds = time.perf_counter() - began
            self.metrics.latency.observe(seconds)
            self.metrics.answered(status)
            if self.observers.watching:
                self.observers.answered(
                    Answer(
                        model=self.model.spec.name,
                        version=self.version,
                        digest=self.model.digest,
                        status=status,
                        began=time.time() - seconds,
                        seconds=seconds,
                        inputs=inputs,
                        outputs=results,
                        headers=_wanted(scope, self.observers.headers),
                        client=(scope.get("client") or ("",))[0],
                        reason=reason,
                    )
                )
        return 200, answer

    async def _run(self, question: Question) -> dict[str, Array]:
        small = sum(array.size for array in question.inputs.values()) <= SMALL
        began = time.perf_counter()
        if small and self._slowest < QUICK:
            results = self.model.run(question.inputs, question.outputs)
        else:
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(self._pool, self.model.run, question.inputs, question.outputs)
        if small:
            # Forgets a slow moment slowly, so that one does not decide for ever.
            self._slowest = max(time.perf_counter() - began, self._slowest * 0.98)
        return results

    async def _body(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the request ended before its body")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.largest_body:
                raise Refused(413, f"the body is larger than {self.largest_body} bytes")
            chunks.append(chunk)
            more = message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _server_metadata(self) -> dict[str, Any]:
        return {"name": "plimsoll", "version": __version__, "extensions": ["binary_tensor_data"]}

    def _model_metadata(self) -> dict[str, Any]:
        spec = self.model.spec
        metadata: dict[str, Any] = {
            "name": spec.name,
            "versions": [self.version],
            "platform": "onnxruntime_onnx",
            "inputs": spec.inputs,
            "outputs": spec.outputs,
        }
        parameters = {"features": spec.features, "classes": spec.classes}
        told = {name: value for name, value in parameters.items() if value}
        return {**metadata, "parameters": told} if told else metadata


def _wanted(scope: Scope, names: frozenset[str]) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name.decode("latin-1") in names
    }


def _header_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"inference-header-content-length":
            if not value.isdigit() or len(value) > 12:
                raise BadTensor("Inference-Header-Content-Length is not a number of bytes")
            return int(value)
    return None
