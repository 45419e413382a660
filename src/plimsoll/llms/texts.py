"""Requests for vectors and for an order of documents, and their answers. Pure.

The shapes are those of OpenAI for vectors, of Jina and Cohere for an order.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.llms.errors import BadRequest

MOST_TEXTS = 2048
"""Texts of one request. Source: the API's reference."""
MOST_DOCUMENTS = 1000
"""Source: Cohere's reference."""
_PASSED_OVER = frozenset({"user", "metadata", "input_type", "task"})
"""Fields that say something of the caller, or that models of these shapes have no use for."""

Name = Annotated[str, Meta(min_length=1)]


class AskedVectors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/embeddings`."""

    model: Name
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1)] | None = None

    @property
    def texts(self) -> list[str | list[int]]:
        """The texts, or their tokens."""
        if isinstance(self.input, str):
            return [self.input]
        is_one = bool(self.input) and isinstance(self.input[0], int)
        return [self.input] if is_one else list(self.input)


class AskedOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/rerank`. `top_n` are the documents of the answer; all when left out."""

    model: Name
    query: Name
    documents: Annotated[list[str | dict[str, Any]], Meta(min_length=1, max_length=MOST_DOCUMENTS)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool = False

    @property
    def texts(self) -> list[str]:
        """The texts of the documents. Raises BadRequest."""
        found = []
        for number, document in enumerate(self.documents):
            text = document if isinstance(document, str) else document.get("text")
            if not isinstance(text, str):
                place = f"documents[{number}]"
                raise BadRequest(f"`{place}` is a text, or an object with a `text`", place)
            found.append(text)
        return found


def read_vectors(body: bytes | memoryview) -> AskedVectors:
    """Raises BadRequest with the field that is wrong."""
    asked = _converted(body, AskedVectors)
    texts = asked.texts
    if not texts:
        raise BadRequest("`input` is empty: it is a text, tokens, or a list of them", "input")
    if len(texts) > MOST_TEXTS:
        raise BadRequest(f"`input` has {len(texts)} texts, at most {MOST_TEXTS} are embedded at once", "input")
    for number, text in enumerate(texts):
        is_tokens = isinstance(text, list) and all(type(each) is int for each in text)
        if not text or not (isinstance(text, str) or is_tokens):
            what = "is empty" if text in ("", []) else "is neither a text nor a list of tokens"
            raise BadRequest(f"`input[{number}]` {what}", f"input[{number}]")
    return asked


def read_order(body: bytes | memoryview) -> AskedOrder:
    """Raises BadRequest with the field that is wrong."""
    asked = _converted(body, AskedOrder)
    if not asked.query.strip():
        raise BadRequest("`query` is empty", "query")
    return asked


def vectors_json(asked: AskedVectors, vectors: Sequence[Sequence[float]], tokens: int) -> bytes:
    """The answer with the vectors, each a list of numbers or base64 of float32 in little-endian order."""

    def written(vector: Sequence[float]) -> object:
        if asked.encoding_format == "float":
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

    data = [
        {"object": "embedding", "index": number, "embedding": written(vector)} for number, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": asked.model, "usage": usage})


def order_json(asked: AskedOrder, scores: Sequence[float], tokens: int) -> bytes:
    """The answer with the documents, best first; those of the same score in the order in which they came."""
    order = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[: asked.top_n]
    results: list[Mapping[str, object]] = [
        {
            "index": number,
            "relevance_score": scores[number],
            **({"document": {"text": asked.texts[number]}} if asked.return_documents else {}),
        }
        for number in order
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "model": asked.model, "results": results, "usage": usage})


Shape = TypeVar("Shape", AskedVectors, AskedOrder)


def _converted(body: bytes | memoryview, shape: type[Shape]) -> Shape:
    try:
        fields = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("the body is not a JSON object")
    kept = {name: value for name, value in fields.items() if name not in _PASSED_OVER and value is not None}
    for name in kept:
        if name not in shape.__struct_fields__:
            raise BadRequest(f"`{name[:80]}` is no field of this request", name[:80], "unknown_field")
    for name in shape.__struct_fields__:
        if name in kept:
            continue
        if name in ("model", "input", "query", "documents"):
            raise BadRequest(f"`{name}` is missing", name)
    try:
        return msgspec.convert(kept, shape)
    except msgspec.ValidationError as error:
        told, _, place = str(error).partition(" - at `$.")
        param = place.rstrip("`") or None
        raise BadRequest(f"`{param}`: {told}" if param else told, param) from error
