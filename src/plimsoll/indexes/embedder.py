"""Vectors of texts by an ONNX model and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.indexes.text_model import MOST_TOKENS, Session, TextModel, Tokens

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array


class Embedder:
    """A model that takes `input_ids` and gives a vector for each token, or one for each text.

    Vectors of tokens are averaged over the text; all vectors have the length 1. `dimension` is their number of
    components, `digest` that of the model and its tokenizer.
    """

    def __init__(self, model: Path, threads: int = 0, session: Session | None = None) -> None:
        """Open the model, with `tokenizer.json` beside it, unless a `session` has it open already.

        Raises PlimsollError for files that are no such model.
        """
        self._model = TextModel(model, threads, "embed", session)
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
        return np.stack([self._vector(each.ids) for each in encoded])

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text as the model reads it, however many they are."""
        found: list[int] = self._model.counting.encode(text).ids
        return found

    def framed(self, ids: Sequence[int]) -> list[int]:
        """The tokens of a text that came as tokens. Raises ValueError for one that the tokenizer does not have."""
        known = self._model.tokenizer.get_vocab_size()
        if strange := next((each for each in ids if not 0 <= each < known), None):
            raise ValueError(f"there is no token {strange}: this model has those from 0 to {known - 1}")
        return self._model.framed(ids)

    def vector(self, ids: Sequence[int]) -> Array:
        """The vector of a text by its tokens."""
        return self._vector(ids)

    def _vector(self, ids: Sequence[int]) -> Array:
        import numpy as np

        if not ids:
            # A text of which the tokenizer knows nothing is near to no other.
            return np.zeros(self.dimension, dtype=np.float32)
        output = self._model.run(Tokens(ids, [0] * len(ids)))
        if output.ndim == 2:
            output = output.mean(axis=0)
        vector: Array = (output / max(float(np.linalg.norm(output)), 1e-12)).astype(np.float32)
        return vector
