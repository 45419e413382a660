"""The example of a shop: its generator, its ways to recommend, and what they are worth, without models."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.assistants.questions import read_questions
from plimsoll.kinds.table import KINDS

from .scripts import EXAMPLES, load

EXAMPLE = EXAMPLES / "shop"
generate, ranking, service, recommend, figures = load("shop", "generate", "ranking", "service", "recommend", "figures")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generator of a shop that is made in no time."""
    monkeypatch.setattr(generate, "PRODUCTS", 80)
    monkeypatch.setattr(generate, "VISITS", 200)
    return generate


def made(directory: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    directory.mkdir(parents=True)
    monkeypatch.setenv("PLIMSOLL_OUTPUT", str(directory))
    monkeypatch.setattr(generate.sys, "argv", ["generate.py"])
    generate.main()
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_file_is_right_and_its_questions_are_those_of_the_generator() -> None:
    KINDS.check(KINDS.load(EXAMPLE / "plimsoll.yaml"))
    kept = (EXAMPLE / "questions.jsonl").read_bytes()
    assert [json.loads(line) for line in kept.splitlines()] == generate.questions(generate.SEED)
    judged = read_questions(kept, "questions.jsonl")
    assert (len(judged), sum(each.unanswerable for each in judged)) == (50, 10)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(
    small: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = made(tmp_path / "once", monkeypatch)
    assert made(tmp_path / "again", monkeypatch) == once
    monkeypatch.setattr(small, "SEED", 12)
    other = made(tmp_path / "other", monkeypatch)
    assert sorted(other) == sorted(once) == ["catalogue.csv", "visits.csv"]
    assert [name for name in once if once[name] == other[name]] == []


def test_what_visitors_like_is_written_nowhere(small: ModuleType) -> None:
    products, visits = small.shop(1)
    assert set(products[0]) == {
        "id", "title", "text", "kind", "maker", "price", "from_day", "material", "grams", "years"
    }  # fmt: skip
    assert set(visits[0]) == {"visit", "day", "place", "product"}


def test_nobody_looks_at_a_new_product_before_it_is_on_sale_or_twice_at_one(small: ModuleType) -> None:
    products, visits = small.shop(1)
    on_sale = {each["id"]: each["from_day"] for each in products}
    assert any(on_sale.values())
    assert all(each["day"] >= on_sale[each["product"]] for each in visits)
    assert len({(each["visit"], each["product"]) for each in visits}) == len(visits)


def test_a_product_that_was_looked_at_is_not_shown_again_and_equal_ones_come_by_their_id() -> None:
    assert ranking.best({"c": 1, "b": 2, "a": 1}, seen=["b"], count=2) == ["a", "c"]
    assert ranking.best({}, seen=[]) == []


def test_figures_of_a_ranking() -> None:
    assert (ranking.recall(["a", "b"], "b"), ranking.recall(["a"], "b")) == (1.0, 0.0)
    assert ranking.ndcg(["a", "b"], "a") == 1.0
    assert ranking.ndcg(["a", "b", "c"], "c") == 0.5
    assert ranking.ndcg(["a"], "b") == 0.0


def test_products_of_the_same_visits_belong_together_whichever_is_asked_for() -> None:
    beside = ranking.together([["a", "b"], ["a", "b"], ["a", "c"]])
    assert beside["a"]["b"] == beside["b"]["a"] > beside["a"]["c"]
    assert "c" not in beside["b"]


scores = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 100), max_size=6)


@given(scores, scores, st.floats(0, 1))
def test_two_scores_that_are_mixed_stay_on_one_scale(
    one: Mapping[str, float], other: Mapping[str, float], weight: float
) -> None:
    both = ranking.mixed(one, other, weight)
    assert set(both) == set(one) | set(other)
    assert all(0 <= each <= 1 + 1e-9 for each in both.values())


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40))
def test_a_mean_lies_in_its_interval(values: list[float]) -> None:
    mean, low, high = ranking.interval(values, draws=40)
    assert low <= mean + 1e-9 or mean in (0.0, 1.0)
    assert 0 <= low <= high <= 1


def nearest_names(query: str, top: int, url: str) -> dict[str, float]:
    """A search that finds what has the words of the query."""
    with (recommend.SHOP / "catalogue.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    asked = set(query.split())
    found = {row["id"]: len(asked & set(row["text"].split())) / len(asked) for row in rows}
    return dict(sorted(found.items(), key=lambda each: -each[1])[:top])


def test_the_figures_compare_every_way_on_the_same_visits(
    small: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "shop", monkeypatch)
    monkeypatch.setattr(recommend, "SHOP", tmp_path / "shop")
    monkeypatch.setattr(figures, "SHOP", tmp_path / "shop")
    monkeypatch.setattr(service, "search", nearest_names)
    prompts: list[str] = []

    def write(prompt: str, *_: object) -> str:
        prompts.append(prompt)
        return "light and airy"

    monkeypatch.setattr(service, "write", write)
    output = tmp_path / "figures.json"
    monkeypatch.setattr(figures.sys, "argv", ["figures.py", "--written", "5", "--output", str(output)])
    capsys.readouterr()
    figures.main()
    told: dict[str, dict[str, Any]] = json.loads(output.read_text())
    assert [len(rows) for rows in told.values()] == [4, 3, 4]
    assert {"popularity", "retrieval alone", "looked at together"} < set(told["all"])
    assert all(low <= high for rows in told.values() for row in rows.values() for _, low, high in row.values())
    # What is judged is not among what the language model reads, and each visit is read once.
    assert len(prompts) == 5
    assert "The price" not in "".join(prompts)
    printed = capsys.readouterr().out
    assert printed.count("| recall@10 | nDCG@10 |") == 3


@pytest.mark.parametrize(
    ("said", "verdict", "passage", "shown"),
    [
        ("It is a tent for loners. ", "supported", 1, "It is a tent for loners."),
        ("It is a splendid tent for loners.", "supported", 1, "The tent is made for loners."),
        ("It is a tent for loners.", "supported", 2, "The tent is made for loners."),
        ("It is a tent for loners.", "unsupported", 1, "The tent is made for loners."),
    ],
)
def test_what_the_language_model_says_beyond_the_products_own_text_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, said: str, verdict: str, passage: int, shown: str
) -> None:
    told = {
        "passages": [{"number": 1, "id": "p001"}, {"number": 2, "id": "p002"}],
        "sentences": [{"text": said, "verdict": verdict, "passages": [passage]}],
    }
    monkeypatch.setattr(service, "ask", lambda *_: {"plimsoll": told})
    assert service.reason("tent", "p001", "The tent is made for loners. The price is 9 euros.") == shown


def test_a_service_that_is_not_up_and_a_product_that_is_not_there_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="Bring the service up with: plimsoll up"):
        service.search("a tent", 3, "http://127.0.0.1:9")
    monkeypatch.setattr(recommend, "SHOP", tmp_path)
    with pytest.raises(SystemExit, match=r"has no catalogue\. Make it with: plimsoll up"):
        recommend.read_catalogue()
    (tmp_path / "catalogue.csv").write_text("id,title\np000,A tent\np001,A mat\n")
    monkeypatch.setattr(recommend.sys, "argv", ["recommend.py", "p7"])
    with pytest.raises(SystemExit, match="no product p7; the catalogue has p000 to p001"):
        recommend.main()
