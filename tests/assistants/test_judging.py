"""What answers are worth: figures that are numbers or nothing, facts, ranks, and what is read as a judged question."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.assistants.answering import Outcome, Stages
from plimsoll.assistants.judging import Judgement, Record, compare, figures, judge, ndcg, recall, states_fact, turned
from plimsoll.assistants.passages import Passage
from plimsoll.assistants.questions import Judged, read_questions
from plimsoll.errors import FileError

SEAL = Passage(
    number=1, id="seal", source="s", start=0, end=9, score=1, relevance=1, text="Change the seal after 30 days."
)


def record(outcome: Outcome | None, text: str = "", **judged: object) -> Record:
    values = {"question": "When?", "documents": ("seal",)} | judged
    return Record(
        judged=Judged(**values),  # type: ignore[arg-type]
        ranked=("oil", "seal", "seal", "belt"),
        outcome=outcome,
        text=text,
        passages=(SEAL,),
        stages=Stages(search=5, prompt=1, first_token=10, answer=20),
    )


def test_an_answer_is_right_when_it_has_the_facts_and_stands_on_a_document_that_answers() -> None:
    right = judge(record("answered", "Change the seal after 30 days.", facts=("30", ("seal", "gasket"))))
    assert (right.right, right.cited, right.supported, right.stated, right.first_rank) == (True, True, 1, 1, 2)
    for text, says in (("Change the seal after 31 days.", ("30",)), ("After 30 days.", ("seal or gasket",))):
        wrong = judge(record("answered", text, facts=("30", ("seal", "gasket"))))
        assert (wrong.right, wrong.missing_facts) == (False, says)
    other = judge(record("answered", "Change the seal after 30 days.", documents=("belt",)))
    assert (other.right, other.cited) == (False, False)


def test_a_refusal_is_right_where_there_is_no_answer_and_wrong_where_there_is_one() -> None:
    nothing: dict[str, Any] = {"documents": (), "unanswerable": True}
    assert judge(record("refused", "The documents do not answer this.", **nothing)).right
    assert not judge(record("answered", "Change the seal after 30 days.", **nothing)).right
    assert not judge(record("refused", "The documents do not answer this.")).right
    both = figures([record("refused"), record("refused", **nothing), record("answered", "It is 5.", **nothing)])
    assert (both["answered"], both["refused"], both["cited"]) == (0.0, 0.5, None)


def test_ranks_count_passages_for_recall_and_documents_for_gain() -> None:
    one = record("refused")
    assert [recall(one, rank) for rank in (1, 2, 4)] == [0.0, 1.0, 1.0]
    assert ndcg(one, 4) == pytest.approx(1 / math.log2(3))
    assert ndcg(record("refused", documents=("oil",)), 1) == 1.0
    assert figures([one], ["recall@3"])["recall@3"] == 1.0


@pytest.mark.parametrize(
    ("text", "fact", "stands"),
    [
        ("It takes 1,000 hours.", "1000", True),
        ("It takes 10000 hours.", "1000", False),
        ("Use File::Copy to do it.", "file::copy", True),
        ("Set $| to 1.", "$|", True),
        ("Autoflush it.", ("$|", "autoflush"), True),
        ("The sealing is old.", "seal", False),
        ("The New York office.", "new york", True),
        ("York is not new.", "new york", False),
    ],
)
def test_a_fact_stands_in_an_answer_as_a_number_as_words_or_as_it_is_written(
    text: str, fact: str | tuple[str, ...], stands: bool
) -> None:
    assert states_fact(text, fact) is stands


WORDS = st.text(max_size=40)
RECORDS = st.builds(
    Record,
    judged=st.one_of(
        st.builds(Judged, question=WORDS, documents=st.tuples(WORDS), facts=st.lists(WORDS, max_size=2).map(tuple)),
        st.builds(Judged, question=WORDS, unanswerable=st.just(True)),
    ),
    ranked=st.lists(WORDS, max_size=4).map(tuple),
    outcome=st.sampled_from(["answered", "unsupported", "refused", None]),
    text=WORDS,
    passages=st.just(()),
    stages=st.one_of(st.none(), st.builds(Stages)),
    error=st.just(""),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=5))
def test_every_figure_is_a_share_or_a_time_or_is_not_there_and_is_the_same_each_time(records: list[Record]) -> None:
    found = figures(records)
    assert found == figures(records)
    for name, value in found.items():
        assert value is None or (math.isfinite(value) and value >= 0 and (name.endswith("_ms") or value <= 1)), name


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_a_fact_that_is_written_in_an_answer_is_found_there(before: str, after: str, fact: str) -> None:
    assert states_fact(f"{before} {fact} {after}", (fact, fact)) or not fact.strip()


def test_a_comparison_names_what_turned() -> None:
    def told(question: str, right: bool) -> Judgement:
        return Judgement(
            question=question, unanswerable=False, outcome=None, first_rank=None, facts=None, missing_facts=(),
            cited=False, supported=0, stated=0, right=right,
        )  # fmt: skip

    assert turned([told("a", True), told("b", False)], [told("a", False), told("b", True), told("c", True)]) == (
        ["a"],
        ["b"],
    )
    assert [each.name for each in compare({"facts": 0.5, "gone": 1.0}, {"facts": 0.6, "new": 1.0})] == ["facts"]


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", "q.jsonl", "there are no questions"),
        (b'{"question": "a", "documents": ["x"]}\n{"question"', "q.jsonl:2", "this is no JSON"),
        (b'\n\n{"question": "a"}', "q.jsonl:3", "has no `documents`"),
        (b'{"question": "a", "documents": ["x"], "unanswerable": true}', "q.jsonl:1", "and is `unanswerable`"),
        (b'{"question": "a", "unanswerable": true, "facts": ["1"]}', "q.jsonl:1", "has `facts`"),
        (b'{"question": "a", "document": ["x"]}', "q.jsonl:1", "unknown field"),
        (b'{"question": " ", "documents": ["x"]}', "q.jsonl:1", "the question is empty"),
        (b'{"question": "a?", "documents": ["x"]}\n{"question": "A? ", "documents": ["x"]}', "q.jsonl:2", "line 1"),
        (b"[" * 2000, "q.jsonl:1", "judged question|no JSON"),
        (b'{"question": "a", "documents": ["\xff"]}', "q.jsonl:1", "no JSON|judged question"),
    ],
)
def test_a_line_that_is_no_judged_question_is_refused_with_its_place(content: bytes, place: str, message: str) -> None:
    with pytest.raises(FileError, match=message) as refused:
        read_questions(content, "q.jsonl")
    assert refused.value.where == place
