"""An ONNX model of texts and its tokenizer: what embedding models and cross-encoders have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.indexes.layout import TOKENIZER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from plimsoll.indexes.arrays import Array


MOST_TOKENS = 512
"""Tokens of a text that count. Source: the positions that BERT models were trained with."""


class Session(Protocol):
    """What ONNX Runtime has opened."""

    def get_inputs(self) -> Sequence[Any]:
        """The inputs, which have names. `Any`: the library's types are its own."""

    def run(self, names: Sequence[str] | None, inputs: dict[str, Array]) -> list[Any]:
        """The outputs."""


class Tokens(NamedTuple):
    """A text, or two, as the model reads them: `types` tells the second of two from the first."""

    ids: Sequence[int]
    types: Sequence[int]


class TextModel:
    """A model that takes `input_ids`, and perhaps `attention_mask` and `token_type_ids`.

    `digest` is that of the model and its tokenizer.
    """

    def __init__(self, model: Path, threads: int, word: str, session: Session | None = None) -> None:
        """Open the model, with `tokenizer.json` beside it; `word` is the key of the file that names such a model.

        `session` has the model open already. Raises PlimsollError for files that are no such model.
        """
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
        self._session = _opened(model, threads) if session is None else session
        self._inputs = {each.name for each in self._session.get_inputs()}
        if "input_ids" not in self._inputs or not self._inputs <= {"input_ids", "attention_mask", "token_type_ids"}:
            text = f"the model takes {', '.join(sorted(self._inputs))}, and a model of texts takes input_ids"
            raise PlimsollError(text, where=str(model), hint=f"name a model of texts for `{word}`")
        self.tokenizer.no_padding()
        self.digest = _digest(model, words)

    def run(self, text: Tokens) -> Array:
        """The first output for one text, without the dimension of the batch.

        Texts are not put together: models whose numbers are quantised as they run give a text other numbers in other
        company, and find less (`benchmarks rag`). On processors a batch is not faster either.
        """
        import numpy as np

        ids = np.asarray([text.ids], dtype=np.int64)
        types = np.asarray([text.types], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
        output: Array = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        first: Array = output[0]
        return first

    def framed(self, ids: Sequence[int]) -> list[int]:
        """Tokens of a text with those that the model wants around it, such as [CLS] and [SEP]."""
        alone = self.tokenizer.encode("a", add_special_tokens=False).ids
        whole = self.tokenizer.encode("a").ids
        ends = [at for at in range(len(whole)) if whole[at : at + len(alone)] == alone] if alone else [len(whole)]
        before = ends[0] if ends else 0
        return [*whole[:before], *ids, *whole[before + len(alone) :]]

    @cached_property
    def counting(self) -> Tokenizer:
        """A tokenizer without limits of its own: settings of one that other threads use cannot be changed."""
        made = self.tokenizer.from_str(self.tokenizer.to_str())
        made.no_truncation()
        return made


def _opened(model: Path, threads: int) -> Session:
    from plimsoll.indexes.native import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        made: Session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise PlimsollError(f"this is no ONNX model: {str(error)[:300]}", where=str(model)) from error
    return made


def _digest(*paths: Path) -> str:
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{found.hexdigest()}"
