"""The front: paths of the API to answers of language models, and refusals to its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

from plimsoll.llms.errors import BadRequest, error_json
from plimsoll.llms.requests import Asked, Kind, read_request
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.front import constant
from plimsoll.runtime.server.fronts.openai.texts import TextTask, names_of_text_models, order_call, vectors_call
from plimsoll.runtime.server.heads import Endpoint, Head
from plimsoll.runtime.server.llms.generation import MOST_NAMES, Generation, Generations, Refused
from plimsoll.runtime.server.refusals import (
    BadInput,
    Busy,
    Conflict,
    DeadlinePassed,
    Defect,
    Failed,
    Forbidden,
    NotFound,
    NotReady,
    Refusal,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unservable,
    defect,
)
from plimsoll.runtime.server.responses import JSON, Buffer, Reply, Response, Stream, json_response
from plimsoll.runtime.server.served import Served

STATUSES: dict[type[Refusal], int] = {
    BadInput: 400,
    Conflict: 409,
    Forbidden: 403,
    NotFound: 404,
    NotReady: 503,
    TooLarge: 413,
    TooMany: 429,
    Unauthenticated: 401,
    Busy: 429,
    DeadlinePassed: 504,
    Unservable: 400,
    Failed: 502,
    Defect: 500,
}
CODES: dict[type[Refusal], str] = {
    NotFound: "model_not_found",
    TooMany: "rate_limit_exceeded",
    Unauthenticated: "invalid_api_key",
    Busy: "queue_full",
    TooLarge: "request_too_large",
    DeadlinePassed: "timeout",
}
LARGEST = 8 << 20
"""Bytes of a request: a book, or some pictures."""
EVENTS = b"text/event-stream; charset=utf-8"
NO_CACHE = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"
_GENERATE: dict[str, Kind] = {"/v1/chat/completions": "chat", "/v1/completions": "completion"}
_TEXTS: dict[str, TextTask] = {"/v1/embeddings": vectors_call, "/v1/rerank": order_call}
_MODELS = "/v1/models"


class OpenAi:
    """Answers the API's paths: a `HttpFront`."""

    root = "/v1"

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._generations = Generations(plane)

    def endpoint(self, head: Head) -> Endpoint | None:
        """The endpoint for a method and path; `None` when the path is not one of the API's."""
        path = head.path.rstrip("/")
        if path != "/v1" and not path.startswith("/v1/"):
            return None
        kind = _GENERATE.get(path)
        if kind is not None:
            if head.method != "POST":
                return constant(
                    _error(405, f"{path} accepts POST, not {head.method}", headers=b"allow: POST\r\n"), self
                )
            return Endpoint(partial(self._generate, kind), self, largest=LARGEST, cancels=True, recorded=True)
        task = _TEXTS.get(path)
        if task is not None:
            if head.method != "POST":
                return constant(
                    _error(405, f"{path} accepts POST, not {head.method}", headers=b"allow: POST\r\n"), self
                )
            return Endpoint(partial(self._about_texts, task), self, largest=LARGEST, cancels=True, recorded=True)
        if path == _MODELS or path.startswith(f"{_MODELS}/"):
            if head.method not in {"GET", "HEAD"}:
                text = f"{path[:200]} accepts GET, not {head.method}"
                return constant(_error(405, text, headers=b"allow: GET, HEAD\r\n"), self)
            return Endpoint(partial(self._models, path.removeprefix(_MODELS).removeprefix("/")), self)
        known = ", ".join((_MODELS, *_GENERATE, *_TEXTS))
        return constant(_error(404, f"there is nothing at {path[:200]}; this server has {known}"), self)

    def refused(self, refusal: Refusal) -> Response:
        """The API's shape of an error, with the status of the refusal."""
        kind = type(refusal)
        return _error(STATUSES[kind], str(refusal), None, CODES.get(kind), retry_after=refusal.retry_after)

    def prepare(self, served: Served) -> None:
        """Open what reads the texts of a model that takes tokens."""
        model = served.model
        if isinstance(model, OnnxModel) and any(each.name == "input_ids" for each in model.spec.inputs):
            # What reads texts is loaded only where there is a model for it.
            from plimsoll.runtime.server.texts.reading import TextReader

            served.fronts[TextReader] = TextReader(model)

    def _models(self, name: str, head: Head, body: Buffer, client: str) -> Response:
        known = [(each, each) for each in self._generations.assistants()]
        known += [(each, served.name) for served in self._generations.models() for each in served.names]
        known += [(each, each) for each in names_of_text_models(self._plane)]
        listed = [
            {"id": each, "object": "model", "created": 0, "owned_by": "plimsoll", "root": root}
            for each, root in known
            if not name or each == name
        ]
        if name and not listed:
            has = ", ".join(f"'{each}'" for each, _ in known[:MOST_NAMES]) or "none"
            return self.refused(NotFound(f"there is no model '{name[:80]}' for the OpenAI API; this server has {has}"))
        return json_response(listed[0] if name else {"object": "list", "data": listed})

    async def _about_texts(self, task: TextTask, head: Head, body: Buffer, client: str) -> Response:
        try:
            call = task(body, head.headers, client)
        except BadRequest as bad:
            self._plane.refused_before("", head.headers, client, BadInput(str(bad)))
            return _error(bad.status, str(bad), bad.param, bad.code)
        try:
            return await self._plane.infer(call)
        except Refusal as refusal:
            return self.refused(refusal)

    def _generate(self, kind: Kind, head: Head, body: Buffer, client: str) -> Reply:
        named = ""
        try:
            asked = read_request(kind, body)
            named = asked.model
            if named in self._generations.assistants():
                return self._questioned(asked, head, client)
            generation = self._generations.begin(asked, head.headers, client)
        except BadRequest as bad:
            self._plane.refused_before(named, head.headers, client, BadInput(str(bad)))
            return _error(bad.status, str(bad), bad.param, bad.code)
        except Refusal as refusal:
            self._plane.refused_before(named, head.headers, client, refusal)
            return self.refused(refusal)
        return self._streamed(generation) if asked.stream else self._answered(generation)

    async def _questioned(self, asked: Asked, head: Head, client: str) -> Response | Stream:
        """The answer of an assistant."""
        # What answers from documents is loaded only where there is an assistant.
        from plimsoll.runtime.server.fronts.openai.assistants import begun

        try:
            questioning = await begun(self._plane, asked, head, client)
            if not asked.stream:
                return Response(200, await questioning.whole())
            await questioning.begin()
        except BadRequest as bad:
            self._plane.refused_before(asked.model, head.headers, client, BadInput(str(bad)))
            return _error(bad.status, str(bad), bad.param, bad.code)
        except Refused as refused:
            return _refused(refused)
        except Refusal as refusal:
            return self.refused(refusal)
        return Stream(_safely(questioning.events), EVENTS, NO_CACHE)

    async def _answered(self, generation: Generation) -> Response:
        try:
            return Response(200, await generation.answer())
        except Refused as refused:
            return _refused(refused)
        except Refusal as refusal:
            return self.refused(refusal)

    async def _streamed(self, generation: Generation) -> Response | Stream:
        try:
            upstream = await generation.begin()
        except Refused as refused:
            return _refused(refused)
        except Refusal as refusal:
            return self.refused(refusal)
        return Stream(_safely(partial(generation.events, upstream)), EVENTS, NO_CACHE)


async def _safely(events: Callable[[], AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
    """The events; a defect of ours ends them with one that says so."""
    stream = events()
    try:
        async for each in stream:
            yield each
    except Exception:  # noqa: BLE001 - without a last event the client would take what it has for the whole answer
        yield b"data: " + error_json(500, str(defect())) + b"\n\n"
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


def _refused(refused: Refused) -> Response:
    return _error(refused.status, str(refused), refused.param, refused.code, retry_after=refused.retry_after)


def _error(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    *,
    retry_after: int | None = None,
    headers: bytes = b"",
) -> Response:
    after = b"" if retry_after is None else b"retry-after: %d\r\n" % retry_after
    return Response(status, error_json(status, message, param, code), JSON, after + headers)
