"""Which passage supports a sentence, held to pairs that people have judged, and to what holds for every text."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.assistants.passages import Passage
from plimsoll.assistants.sentences import split
from plimsoll.assistants.support import support
from plimsoll.assistants.terms import numbers_in

PAIRS = [json.loads(line) for line in Path(__file__).with_name("support_pairs.jsonl").read_text().splitlines()]
RIGHT = 0.95


def passage(text: str, heading: str = "", number: int = 1) -> Passage:
    return Passage(
        number=number, id="d", source="d", start=0, end=len(text), score=1, relevance=1, text=text, heading=heading
    )


@pytest.mark.parametrize("which", ["tuning", "held out", "fresh", "later"])
def test_of_judged_sentences_at_least_95_in_100_are_marked_as_people_do(which: str) -> None:
    judged, wrong = 0, []
    for each in PAIRS:
        if each["set"] != which:
            continue
        near = passage(each["text"], each["heading"])
        for label in ("right", "wrong"):
            for sentence in each[label]:
                judged += 1
                if (support(sentence, [near]).verdict == "supported") != (label == "right"):
                    wrong.append((label, sentence, support(sentence, [near])))
    assert judged >= 60
    assert 1 - len(wrong) / judged >= RIGHT, wrong


NEAR = passage("Close the valve before you open the pump. It holds 40 litres at 3 bar.", "The pump P-7")


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("It holds 50 litres at 3 bar.", ("50",)),
        ("Close the valve of Siemens before you open the pump.", ("siemens",)),
        ("Close the valve with `closeValve()` before you open the pump.", ("closevalve",)),
    ],
)
def test_a_number_or_a_name_that_stands_in_no_passage_makes_a_sentence_unsupported(
    sentence: str, missing: tuple[str, ...]
) -> None:
    found = support(sentence, [NEAR])
    assert (found.verdict, found.missing) == ("unsupported", missing)


def test_lines_of_a_document_and_of_an_answer_may_be_wrapped_anywhere() -> None:
    near = passage(
        "The original culture of the early\nInternet gave rise to the free\ndistribution of Perl.\n\n  code\n"
    )
    for said in (
        "The original culture of the early Internet gave rise to the free distribution of Perl.",
        near.text.partition("\n\n")[0],
    ):
        assert support(said, [near]).verdict == "supported"
    assert [each.text for each in split("It is\nfree. It\nis Perl.\n- One\n- Two")] == [
        "It is\nfree.",
        "It\nis Perl.",
        "- One",
        "- Two",
    ]


@pytest.mark.parametrize("width", [24, 40, 60])
def test_the_judgement_of_a_sentence_does_not_depend_on_how_its_passage_is_wrapped(width: int) -> None:
    for each in PAIRS[::4]:
        plain = passage(each["text"], each["heading"])
        folded = passage(
            textwrap.fill(each["text"], width, break_long_words=False, break_on_hyphens=False), each["heading"]
        )
        for sentence in each["right"] + each["wrong"]:
            assert support(sentence, [folded]).verdict == support(sentence, [plain]).verdict, sentence


def test_a_sentence_names_each_passage_that_supports_it_and_none_besides() -> None:
    passages = [passage("The bearing is made of bronze.", number=1), NEAR, passage("Close the valve first.", number=3)]
    found = support("The bearing is made of bronze.", passages)
    assert (found.verdict, found.passages) == ("supported", (1,))
    assert support("Close the valve.", [*passages[:1], *passages[2:]]).passages == (3,)
    assert support("Close the valve.", []).verdict == "unsupported"


@pytest.mark.parametrize(
    "text",
    ["Here is the answer:", "The answer is:", "When is the valve closed?", "I hope this helps!", "...", "```\n```"],
)
def test_what_states_nothing_is_neither_supported_nor_unsupported(text: str) -> None:
    assert support(text, [NEAR]).verdict == "empty"


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_a_verdict_and_none_is_supported_by_nothing(sentence: str, text: str) -> None:
    assert support(sentence, [passage(text)]).verdict in {"supported", "unsupported", "empty"}
    assert support(sentence, []).verdict != "supported"


WRITTEN = st.text(alphabet="aB1.,!? \n`-$。", max_size=80)


@settings(max_examples=60, deadline=None)
@given(WRITTEN, WRITTEN)
def test_sentences_that_are_complete_stay_as_they_are_while_more_is_written(text: str, more: str) -> None:
    assert split(text + more)[: max(0, len(split(text)) - 1)] == split(text)[:-1]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_every_character_but_spaces_is_in_one_sentence(text: str) -> None:
    found = split(text)
    assert "".join("".join(each.text.split()) for each in found) == "".join(text.split())
    assert all(text[each.start : each.end] == each.text for each in found)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 10**9))
def test_a_number_is_the_same_with_separators_of_thousands_and_without(number: int) -> None:
    assert numbers_in(f"It has {number:,} rows") == numbers_in(f"{number} rows") == {str(number)}
    assert numbers_in(f"{number}.0 rows") == {str(number)}


JACKET = "The Fennick Yarrow 297 rain jacket is warm far below zero. It is made of recycled nylon, at 2590 grams."


@pytest.mark.parametrize("heading", ["Fennick Yarrow 297 rain jacket", ""])
@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("The Fennick Yarrow 297 rain jacket is made of recycled nylon.", "supported"),
        ("The Fennick Yarrow 297 rain jacket is warm far below zero.", "supported"),
        ("The Fennick Yarrow 297 rain jacket is made of waxed cotton.", "unsupported"),
        ("The Fennick Yarrow 297 rain jacket is luxurious and comfortable.", "unsupported"),
    ],
)
def test_a_long_name_that_is_repeated_does_not_make_up_for_what_is_said_of_it(
    sentence: str, verdict: str, heading: str
) -> None:
    assert support(sentence, [passage(JACKET, heading)]).verdict == verdict
