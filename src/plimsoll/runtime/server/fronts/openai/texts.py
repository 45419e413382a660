"""`/v1/embeddings` and `/v1/rerank`: requests to ONNX models that have a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from plimsoll.llms.texts import AskedOrder, AskedVectors, order_json, read_order, read_vectors, vectors_json
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.refusals import BadInput
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.responses import Buffer, Response
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.tensors import Array

if TYPE_CHECKING:
    from plimsoll.runtime.server.texts.reading import TextReader


class VectorsCall(InferenceCall[Response]):
    """One request for vectors."""

    __slots__ = ("_asked",)

    def __init__(self, asked: AskedVectors, headers: Mapping[str, str], client: str) -> None:
        super().__init__(asked.model, None, headers, client)
        self._asked = asked

    def read(self, served: Served) -> InferenceRequest:
        """The texts. Raises BadInput for a model that embeds none."""
        return _reader(served).embedding(self._asked.texts, self._asked.dimensions)

    def write(self, results: dict[str, Array]) -> Response:
        """The vectors, in the order of the texts."""
        return Response(200, vectors_json(self._asked, results["vectors"].tolist(), int(results["tokens"][0])))


class OrderCall(InferenceCall[Response]):
    """One request for an order of documents. Raises BadRequest for a document without a text."""

    __slots__ = ("_asked", "_texts")

    def __init__(self, asked: AskedOrder, headers: Mapping[str, str], client: str) -> None:
        super().__init__(asked.model, None, headers, client)
        self._asked = asked
        self._texts = asked.texts

    def read(self, served: Served) -> InferenceRequest:
        """The documents. Raises BadInput for a model that is no cross-encoder."""
        return _reader(served).reranking(self._asked.query, self._texts)

    def write(self, results: dict[str, Array]) -> Response:
        """The documents, best first."""
        return Response(200, order_json(self._asked, results["scores"].tolist(), int(results["tokens"][0])))


TextTask = Callable[[Buffer, Mapping[str, str], str], InferenceCall[Response]]


def vectors_call(body: Buffer, headers: Mapping[str, str], client: str) -> InferenceCall[Response]:
    """Raises BadRequest."""
    return VectorsCall(read_vectors(body), headers, client)


def order_call(body: Buffer, headers: Mapping[str, str], client: str) -> InferenceCall[Response]:
    """Raises BadRequest."""
    return OrderCall(read_order(body), headers, client)


def names_of_text_models(plane: DataPlane) -> list[str]:
    """The models that embed texts or put documents in order, in the order in which they are served."""
    return list(dict.fromkeys(served.name for served in plane.catalog.all() if _reads_texts(served)))


def _reads_texts(served: Served) -> bool:
    if not served.fronts:
        return False
    from plimsoll.runtime.server.texts.reading import reader_of

    found = reader_of(served)
    return found is not None and not found.why


def _reader(served: Served) -> TextReader:
    """Raises BadInput for what takes no texts."""
    if served.kind == "onnx":
        from plimsoll.runtime.server.texts.reading import reader_of

        if (found := reader_of(served)) is not None:
            return found
    raise BadInput(f"'{served.name[:80]}' takes no texts: name an ONNX model with a tokenizer")
