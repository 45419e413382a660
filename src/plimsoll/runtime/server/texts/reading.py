"""What reads the texts of a served model: an embedder or a cross-encoder, over the session that the server has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.indexes.embedder import Embedder
from plimsoll.indexes.layout import TOKENIZER
from plimsoll.indexes.reranker import Reranker
from plimsoll.indexes.text_model import MOST_TOKENS
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.refusals import BadInput
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.server.texts.request import ComputedRequest
from plimsoll.runtime.tensors import Array

if TYPE_CHECKING:
    from plimsoll.runtime.model import RunOptions

VECTORS, SCORES, TOKENS = "vectors", "scores", "tokens"
"""Outputs: of the texts, and the number of tokens that the model has read for them."""
Text = str | list[int]


class Stopped(Exception):
    """Nobody waits for the outputs any more."""


class TextReader:
    """Kept for a version in `Served.fronts`. Of `embedder` and `reranker` it has one; with neither, `why` says so."""

    def __init__(self, model: OnnxModel) -> None:
        self.embedder: Embedder | None = None
        self.reranker: Reranker | None = None
        self.why = ""
        if not model.path.with_name(TOKENIZER).is_file():
            self.why = f"it has no {TOKENIZER} beside it"
            return
        try:
            self._open(model)
        except MissingExtra as missing:
            self.why = missing.on_one_line()
        except PlimsollError as error:
            self.why = error.message

    def _open(self, model: OnnxModel) -> None:
        try:
            self.reranker = Reranker(model.path, session=model.session)
        except MissingExtra:
            raise
        except PlimsollError:
            # A cross-encoder is known by its one number for a pair, which was just tried.
            self.embedder = Embedder(model.path, session=model.session)

    def embedding(self, texts: Sequence[Text], dimensions: int | None) -> ComputedRequest:
        """The request for the vectors of texts. Raises BadInput."""
        embedder = self.embedder
        if embedder is None:
            reason = self.why or "it is a cross-encoder, for /v1/rerank"
            raise BadInput(f"this model embeds no texts: {reason}")
        if dimensions is not None and dimensions != embedder.dimension:
            raise BadInput(f"`dimensions` is {dimensions}, and the vectors of this model have {embedder.dimension}")

        def compute(options: RunOptions) -> dict[str, Array]:
            vectors = np.empty((len(texts), embedder.dimension), dtype=np.float32)
            count = 0
            for number, text in enumerate(texts):
                _require_wanted(options)
                ids = _ids(embedder, text, number)
                vectors[number] = embedder.vector(ids)
                count += len(ids)
            return {VECTORS: vectors, TOKENS: np.array([count])}

        return ComputedRequest(inputs={}, compute=compute)

    def reranking(self, query: str, documents: Sequence[str]) -> ComputedRequest:
        """The request for the scores of documents. Raises BadInput."""
        reranker = self.reranker
        if reranker is None:
            reason = self.why or "it is an embedding model, for /v1/embeddings"
            raise BadInput(f"this model puts no documents in order: {reason}")

        def compute(options: RunOptions) -> dict[str, Array]:
            scores = np.empty(len(documents), dtype=np.float64)
            count = 0
            for number, document in enumerate(documents):
                _require_wanted(options)
                scores[number] = reranker.scores(query, [document])[0]
                count += reranker.count(query, [document])
            return {SCORES: scores, TOKENS: np.array([count])}

        return ComputedRequest(inputs={}, compute=compute)


def reader_of(served: Served) -> TextReader | None:
    """The reader of a version; None for what is no ONNX model."""
    found: TextReader | None = served.fronts.get(TextReader)
    return found


def _ids(embedder: Embedder, text: Text, number: int) -> list[int]:
    """Raises BadInput for a text that is longer than the model reads, and for tokens that it does not have."""
    try:
        ids = embedder.tokens(text) if isinstance(text, str) else embedder.framed(text)
    except ValueError as error:
        raise BadInput(f"`input[{number}]`: {error}") from error
    if len(ids) > MOST_TOKENS:
        raise BadInput(f"`input[{number}]` has {len(ids)} tokens, and this model reads {MOST_TOKENS}: split it")
    return ids


def _require_wanted(options: RunOptions) -> None:
    if options.terminate:
        raise Stopped
