"""Scores of passages for a question by a cross-encoder, which reads both together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.indexes.text_model import MOST_TOKENS, Session, TextModel, Tokens

RERANKED = 30
"""The best passages of a search that are read with the question: each costs a run of the model."""


class Reranker:
    """A model that takes a question and a passage as `input_ids`, and gives one number, or one for "no" and one for
    "yes".

    `digest` is that of the model and its tokenizer.
    """

    def __init__(self, model: Path, threads: int = 0, session: Session | None = None) -> None:
        """Open the model, unless a `session` has it open already. Raises PlimsollError for files that are no such
        model.
        """
        self._model = TextModel(model, threads, "rerank", session)
        self._model.tokenizer.enable_truncation(MOST_TOKENS, strategy="only_second")
        self.digest = self._model.digest
        self._where = str(model)
        self.scores("question", ["passage"])

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers the question, from 0 to 1. Raises PlimsollError for another kind of model."""
        # A question as long as what the model reads would leave no room for any passage.
        short = question[: MOST_TOKENS * 2]
        encoded = self._model.tokenizer.encode_batch([(short, passage) for passage in passages])
        return [self._likely(Tokens(each.ids, each.type_ids)) for each in encoded]

    def count(self, question: str, passages: Sequence[str]) -> int:
        """The number of tokens that the model reads for all pairs together."""
        short = question[: MOST_TOKENS * 2]
        return sum(
            len(each.ids) for each in self._model.tokenizer.encode_batch([(short, passage) for passage in passages])
        )

    def _likely(self, pair: Tokens) -> float:
        output = self._model.run(pair)
        if output.ndim != 1 or len(output) not in {1, 2}:
            text = (
                f"the model of `rerank` gives the shape {list(output.shape)} for a pair, and a cross-encoder one number"
            )
            raise PlimsollError(text, where=self._where, hint="name a cross-encoder for `rerank`")
        logit = float(output[0]) if len(output) == 1 else float(output[1] - output[0])
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
