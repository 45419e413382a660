"""A cross-encoder that puts the best passages in order: what it reads, and what is no such model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from plimsoll.errors import PlimsollError
from plimsoll.indexes.layout import RERANKER
from plimsoll.indexes.reading import open_registered
from plimsoll.indexes.reranker import RERANKED, Reranker
from tests.indexes.building import build_registered, document
from tests.indexes.cross_encoder_model import write_cross_encoder
from tests.indexes.embedding_model import write_model


def likely(shared: int) -> float:
    return 1 / (1 + math.exp(1 - shared))


@pytest.mark.parametrize("answers", [1, 2])
def test_the_score_of_a_pair_is_how_likely_the_passage_answers(tmp_path: Path, answers: int) -> None:
    reranker = Reranker(write_cross_encoder(tmp_path, answers), threads=1)
    passages = ["a cat", "oil leak", "the oil", *["pump"] * 40]
    expected = [likely(0), likely(2), likely(1), *[likely(0)] * 40]
    assert reranker.scores("oil leak", passages) == pytest.approx(expected, abs=1e-6)


def test_passages_come_in_the_order_of_the_reranker_of_what_the_caller_may_see(tmp_path: Path) -> None:
    documents = [
        document("long", "oil oil oil oil"),
        document("both", "The invoice was for oil and a leak near the pump of the animal house."),
        document("secret", "oil leak", "board"),
        *[document(f"other-{number}", "oil") for number in range(RERANKED + 5)],
    ]
    index = build_registered(tmp_path / "1", documents, "lexical")
    before = open_registered(index.parent, 1)
    assert before.search("oil leak invoice", 1, ())[0].id == "both"
    write_cross_encoder(index.parent / Path(RERANKER).parent)
    index_with = open_registered(index.parent, 1)
    found = index_with.search("oil leak invoice", 1000, ())
    assert [hit.id for hit in found[:2]] == ["long", "both"], "four times one word, and three words once"
    assert [hit.score for hit in found[:2]] == pytest.approx([likely(4), likely(3)], abs=1e-6)
    assert len(found) == RERANKED
    assert "secret" not in {hit.id for hit in found}
    assert index_with.search("zeppelin", 5, ()) == []


def test_a_very_long_question_leaves_room_for_the_passage(tmp_path: Path) -> None:
    reranker = Reranker(write_cross_encoder(tmp_path), threads=1)
    assert reranker.scores("oil " * 100, ["oil"])[0] > 0.9
    assert 0 <= reranker.scores("oil " * 9000, ["oil leak"])[0] <= 1


def test_an_embedding_model_is_no_cross_encoder(tmp_path: Path) -> None:
    with pytest.raises(PlimsollError, match="a cross-encoder one number"):
        Reranker(write_model(tmp_path))
