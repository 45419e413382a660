"""Vectors of texts by an ONNX model and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.indexes.text_model import MOST_TOKENS, TOKENIZER, TextModel, Tokens, batches

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

__all__ = ["TOKENIZER", "Embedder"]


class Embedder:
    """A model that takes `input_ids` and gives a vector for each token, or one for each text.

    Vectors of tokens are averaged over the text; all vectors have the length 1. `dimension` is their number of
    components, `digest` that of the model and its tokenizer.
    """

    def __init__(self, model: Path, threads: int = 0) -> None:
        """Open the model, with `tokenizer.json` beside it. Raises PlimsollError for files that are no such model."""
        self._model = TextModel(model, threads, "embed")
        self._model.tokenizer.enable_truncation(MOST_TOKENS)
        self.digest = self._model.digest
        self.dimension = int(self.embed(["dimension"]).shape[1])

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, without those that the model puts around it."""
        found = self._model.counting.encode_batch(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in found]

    def embed(self, texts: Sequence[str]) -> Array:
        """One vector a text, float32, in a matrix of texts × dimension."""
        import numpy as np

        encoded = self._model.tokenizer.encode_batch(list(texts))
        vectors: list[Array | None] = [None] * len(texts)
        for rows in batches([len(each.ids) for each in encoded]):
            found = self._vectors([Tokens(encoded[row].ids, [0] * len(encoded[row].ids)) for row in rows])
            for row, vector in zip(rows, found, strict=True):
                vectors[row] = vector
        return np.stack([vector for vector in vectors if vector is not None])

    def _vectors(self, rows: Sequence[Tokens]) -> Array:
        import numpy as np

        output, mask = self._model.run(rows)
        if output.ndim == 3:
            weights = mask[:, :, None].astype(np.float32)
            output = (output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        lengths = np.linalg.norm(output, axis=1, keepdims=True)
        vectors: Array = (output / np.maximum(lengths, 1e-12)).astype(np.float32)
        return vectors
