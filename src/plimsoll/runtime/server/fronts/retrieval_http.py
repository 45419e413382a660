"""Indexes over HTTP: `POST /v2/indexes/NAME/search`, and below `/documents` what changes them.

Whoever reaches the server sees what is without labels. Labels are taken only from a caller who has the token of the
service, such as an application that knows its own users: a field or a header by itself says nothing about who sends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal, Protocol, TypeVar, runtime_checkable

import msgspec
from msgspec import Meta, Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.indexes.documents import Document
from plimsoll.indexes.names import PREFIX
from plimsoll.indexes.parsing.text import paragraphs
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.front import constant, wrong_method
from plimsoll.runtime.server.fronts.open_inference_http.front import STATUSES
from plimsoll.runtime.server.heads import Endpoint, Head
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.refusals import BadInput, DeadlinePassed, Refusal
from plimsoll.runtime.server.responses import Buffer, Reply, Response, error, json_response
from plimsoll.runtime.server.retrieval.request import HITS, LONGEST_QUERY, TOP, SearchRequest, search_request
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.tensors import Array, BadTensor

MOST_TOP = 1000
MOST_DOCUMENTS = 1000
"""Documents of one request: all of them are embedded before any is written."""

Label = Annotated[str, Meta(min_length=1, max_length=256)]


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a search. `access` has the labels that the caller answers for."""

    query: Annotated[str, Meta(max_length=LONGEST_QUERY)]
    top: Annotated[int, Meta(ge=1, le=MOST_TOP)] = TOP
    search: Literal["dense", "lexical", "hybrid"] | None = None
    access: Annotated[tuple[Label, ...], Meta(max_length=256)] | None = None


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document to put in."""

    id: Annotated[str, Meta(min_length=1, max_length=1024)]
    text: Annotated[str, Meta(min_length=1)]
    title: Annotated[str, Meta(max_length=4096)] = ""
    metadata: dict[str, str] = {}
    access: Annotated[tuple[Label, ...], Meta(max_length=256)] = ()

    def document(self) -> Document:
        """The document as an index takes it."""
        if not self.text.strip():
            raise BadInput(f"the document '{self.id[:80]}' has no text")
        return Document(
            id=self.id,
            source=self.id,
            text=self.text,
            blocks=paragraphs(self.text),
            title=self.title,
            metadata=self.metadata,
            access=self.access,
        )


class Put(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST …/documents`."""

    documents: Annotated[tuple[Given, ...], Meta(min_length=1, max_length=MOST_DOCUMENTS)]


class Delete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST …/documents/delete`."""

    ids: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=1024)], ...], Meta(min_length=1, max_length=1000)]


Body = TypeVar("Body", Asked, Put, Delete)


class SearchCall(InferenceCall[Response]):
    """One search. What it may see was settled before."""

    __slots__ = ("_asked",)

    def __init__(self, model: str, headers: Mapping[str, str], client: str, asked: Asked) -> None:
        super().__init__(model, None, headers, client)
        self._asked = asked

    def read(self, served: Served) -> SearchRequest:
        """The question, with the labels of who asks. Raises BadTensor for what is no index."""
        if served.file is None or not served.file.index:
            raise BadTensor(f"'{self.model[:80]}' is no index")
        asked = self._asked
        return search_request(asked.query, asked.top, asked.search, asked.access or ())

    def write(self, results: dict[str, Array]) -> Response:
        """The passages, best first."""
        hits = [msgspec.Raw(text.encode()) for text in results[HITS]]
        name, version = self.model.removeprefix(PREFIX), self.served.version
        return json_response({"index": name, "version": version, "hits": hits})


class RetrievalHttp:
    """Answers the paths of indexes: an `HttpFront`."""

    root = "/v2/indexes"

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def endpoint(self, head: Head) -> Endpoint | None:
        """The endpoint for a method and path; `None` when the path is not one of an index."""
        parts = head.path.removeprefix("/").removesuffix("/").split("/")
        if parts[:2] != ["v2", "indexes"]:
            return None
        match parts[2:]:
            case [name] if name:
                if head.method not in {"GET", "HEAD"}:
                    return constant(wrong_method(head, "GET"), self)
                return Endpoint(partial(self._about, name), self)
            case [name, "search"] if name:
                if head.method != "POST":
                    return constant(wrong_method(head, "POST"), self)
                # The body is short, so that the endpoint names no model, whose tensors may be long. What documents say
                # is not for pages of strangers in a browser on this machine.
                return Endpoint(partial(self._search, name), self, private=True, recorded=True)
            case [name, "documents"] | [name, "documents", "delete"] if name:
                if head.method != "POST":
                    return constant(wrong_method(head, "POST"), self)
                event, change = ("put", _put) if len(parts) == 4 else ("delete", _delete)
                answer = partial(self._change, name, event, change)
                return Endpoint(answer, self, private=True, role="admin", recorded=True)
        paths = ", ".join(f"/v2/indexes/NAME{each}" for each in ("", "/search", "/documents", "/documents/delete"))
        return constant(error(404, f"an index has the paths {paths}"), self)

    def refused(self, refusal: Refusal) -> Response:
        """The same shape as that of the Open Inference Protocol."""
        after = refusal.retry_after
        return error(STATUSES[type(refusal)], str(refusal), b"" if after is None else b"retry-after: %d\r\n" % after)

    def prepare(self, served: Served) -> None:
        """Nothing is kept for a version."""

    def _about(self, name: str, head: Head, body: Buffer, client: str) -> Reply:
        try:
            versions = self._plane.metadata(PREFIX + name, None).versions
        except Refusal as refusal:
            return self.refused(refusal)
        return json_response({"name": name, "versions": versions, "search": f"/v2/indexes/{name}/search"})

    async def _search(self, name: str, head: Head, body: Buffer, client: str) -> Response:
        model = PREFIX + name
        try:
            asked = await self._allowed(model, head, body, client)
            return await self._plane.infer(SearchCall(model, head.headers, client, asked))
        except Refusal as refusal:
            return self.refused(refusal)

    async def _allowed(self, model: str, head: Head, body: Buffer, client: str) -> Asked:
        """The body, when its caller may ask for it. Raises BadInput, Forbidden; both are recorded."""
        try:
            asked = _decoded(body, Asked, f'{{"query": "…", "top": {TOP}}}')
            if asked.access is not None:
                await self._plane.administration.check(head.headers)
        except Refusal as refusal:
            self._plane.refused_before(model, head.headers, client, refusal)
            raise
        return asked

    async def _change(self, name: str, event: str, change: Change, head: Head, body: Buffer, client: str) -> Response:
        """What changes documents, for who has the token; it is recorded as an event."""
        model, began = PREFIX + name, time.perf_counter()
        try:
            async with self._plane.administered(event, model, head.headers, client):
                served = self._plane.catalog.choose(model, None, {})
                if not isinstance(served, ChangesDocuments):
                    raise BadInput(f"'{name[:80]}' is no index")
                try:
                    told = await self._plane.beside(began, change, served, body)
                except DeadlinePassed as late:
                    text = "the change takes longer than a request may, and will be made: send less at once"
                    raise DeadlinePassed(text) from late
        except Refusal as refusal:
            return self.refused(refusal)
        return json_response({"index": name, **told})


@runtime_checkable
class ChangesDocuments(Protocol):
    """A version whose documents can be changed."""

    def put(self, documents: Sequence[Document]) -> int:
        """Put documents in; returns the number of their chunks."""

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents by their ids."""


Change = Callable[[ChangesDocuments, Buffer], dict[str, int]]


def _put(served: ChangesDocuments, body: Buffer) -> dict[str, int]:
    given = _decoded(body, Put, '{"documents": [{"id": "…", "text": "…"}]}').documents
    if len({each.id for each in given}) < len(given):
        raise BadInput("two documents of the request have the same id")
    return {"documents": len(given), "chunks": served.put([each.document() for each in given])}


def _delete(served: ChangesDocuments, body: Buffer) -> dict[str, int]:
    ids = _decoded(body, Delete, '{"ids": ["…"]}').ids
    served.delete(ids)
    return {"deleted": len(ids)}


def _decoded(body: Buffer, shape: type[Body], example: str) -> Body:
    """Raises BadInput."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE as problem:
        raise BadInput(f"the body is not what is asked for, such as {example}: {problem}") from problem
