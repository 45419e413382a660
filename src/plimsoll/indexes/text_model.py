"""An ONNX model of texts and its tokenizer: what embedding models and cross-encoders have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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


class Tokens(NamedTuple):
    """A text, or two, as the model reads them: `types` tells the second of two from the first."""

    ids: Sequence[int]
    types: Sequence[int]


class TextModel:
    """A model that takes `input_ids`, and perhaps `attention_mask` and `token_type_ids`.

    `digest` is that of the model and its tokenizer.
    """

    def __init__(self, model: Path, threads: int, word: str) -> None:
        """Open the model, with `tokenizer.json` beside it; `word` is the key of the file that names such a model.

        Raises PlimsollError for files that are no such model.
        """
        from plimsoll.indexes.native import onnxruntime

        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise MissingExtra("retrieval", f"an index with `{word}`") from None
        words = model.with_name(TOKENIZER)
        if not words.is_file():
            hint = f"register {TOKENIZER} with the model: write both to $PLIMSOLL_OUTPUT"
            raise PlimsollError(f"the model of `{word}` has no {TOKENIZER}", where=str(model.parent), hint=hint)
        try:
            self.tokenizer = Tokenizer.from_file(str(words))
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
            text = f"the model takes {', '.join(sorted(self._inputs))}, and a model of texts takes input_ids"
            raise PlimsollError(text, where=str(model), hint=f"name a model of texts for `{word}`")
        self.tokenizer.no_padding()
        self.digest = _digest(model, words)

    def run(self, rows: Sequence[Tokens]) -> tuple[Array, Array]:
        """The first output for a batch, and which of its tokens are no padding."""
        import numpy as np

        longest = max(len(row.ids) for row in rows)
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = row.ids
            types[number, : len(row.ids)] = row.types
            mask[number, : len(row.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        output: Array = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        return output, mask

    @cached_property
    def counting(self) -> Tokenizer:
        """A tokenizer without limits of its own: settings of one that other threads use cannot be changed."""
        made = self.tokenizer.from_str(self.tokenizer.to_str())
        made.no_truncation()
        return made


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
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
