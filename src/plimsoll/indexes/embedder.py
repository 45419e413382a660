"""Vectors of texts by an ONNX model and its tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra, PlimsollError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from plimsoll.indexes.arrays import Array

TOKENIZER = "tokenizer.json"
MOST_TOKENS = 512
"""Tokens of a text that count. Source: the positions that BERT models were trained with."""
BATCH = 32
_PADDED_TOKENS = 8192
"""Tokens of a batch with its padding: attention takes memory by their square within a text."""


class Embedder:
    """A model that takes `input_ids` and gives a vector for each token, or one for each text.

    Vectors of tokens are averaged over the text; all vectors have the length 1. `dimension` is their number of
    components, `digest` that of the model and its tokenizer.
    """

    def __init__(self, model: Path, threads: int = 0) -> None:
        """Open the model, with `tokenizer.json` beside it. Raises PlimsollError for files that are no such model."""
        from plimsoll.indexes.native import onnxruntime

        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise MissingExtra("retrieval", "an index with `embed`") from None
        words = model.with_name(TOKENIZER)
        if not words.is_file():
            hint = f"register {TOKENIZER} with the model: write both to $PLIMSOLL_OUTPUT"
            raise PlimsollError(f"the embedding model has no {TOKENIZER}", where=str(model.parent), hint=hint)
        try:
            self._tokenizer = Tokenizer.from_file(str(words))
        except Exception as error:  # the library raises Exception itself for every fault of a file
            raise PlimsollError(f"this is no tokenizer: {error}", where=str(words)) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise PlimsollError(f"this is no ONNX model: {str(error)[:300]}", where=str(model)) from error
        self._inputs = {each.name for each in self._session.get_inputs()}
        if "input_ids" not in self._inputs or not self._inputs <= {"input_ids", "attention_mask", "token_type_ids"}:
            text = f"the model takes {', '.join(sorted(self._inputs))}, and an embedding model takes input_ids"
            raise PlimsollError(text, where=str(model), hint="name a model of texts for `embed`")
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._tokenizer.no_padding()
        self.digest = _digest(model, words)
        self.dimension = int(self.embed(["dimension"]).shape[1])

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, without those that the model puts around it."""
        found = self._counting.encode_batch(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in found]

    @cached_property
    def _counting(self) -> Tokenizer:
        """A tokenizer of its own: settings of one that other threads use cannot be changed."""
        made = self._tokenizer.from_str(self._tokenizer.to_str())
        made.no_truncation()
        return made

    def embed(self, texts: Sequence[str]) -> Array:
        """One vector a text, float32, in a matrix of texts × dimension."""
        import numpy as np

        encoded = self._tokenizer.encode_batch(list(texts))
        vectors: list[Array | None] = [None] * len(texts)
        for rows in _batches([len(each.ids) for each in encoded]):
            for row, vector in zip(rows, self._run([encoded[row].ids for row in rows]), strict=True):
                vectors[row] = vector
        return np.stack([vector for vector in vectors if vector is not None])

    def _run(self, rows: Sequence[Sequence[int]]) -> Array:
        import numpy as np

        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        if output.ndim == 3:
            weights = mask[:, :, None].astype(np.float32)
            output = (output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        lengths = np.linalg.norm(output, axis=1, keepdims=True)
        vectors: Array = (output / np.maximum(lengths, 1e-12)).astype(np.float32)
        return vectors


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of about the same length together, so that little of a batch is padding."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        longest = lengths[batch[0]] if batch else lengths[row]
        if batch and (len(batch) == BATCH or longest * (len(batch) + 1) > _PADDED_TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _digest(*paths: Path) -> str:
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{found.hexdigest()}"
