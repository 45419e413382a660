"""Which lines of a log travel: what a rule asks for, and all of which no rule says anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plimsoll.edge.choosing import Choice
from plimsoll.edge.documents import UploadRule


def line(data: list[Any], shape: list[int] | None = None, datatype: str = "FP32", **more: Any) -> bytes:
    output = {"name": "y", "datatype": datatype, "shape": shape or [len(data)], "data": data}
    return json.dumps({"at": "2026-01-01", "event": "inference", "status": 200, "outputs": [output], **more}).encode()


def wanted(rule: UploadRule, *lines: bytes) -> list[bool]:
    choice = Choice(rule)
    return [choice.wants(each) for each in lines]


def test_without_a_rule_every_line_is_sent_and_with_send_none_no_line() -> None:
    lines = (line([1.0]), line([1.0], status=422), b'{"event":"checkpoint"}', b"no json")
    assert wanted(UploadRule(), *lines) == [True] * 4
    assert wanted(UploadRule(send=False), *lines) == [False, False, False, True]


def test_refusals_and_the_lines_of_the_log_itself_are_sent_under_each_rule() -> None:
    rule = UploadRule(sample=0.0, uncertain=0.1, changed=1e9)
    for each in (line([1.0], status=503), b'{"event":"begin"}', b'{"event":"lost","count":3}', b"\xff\xfe"):
        assert wanted(rule, line([1.0, 0.0], [1, 2]), each)[1]


def test_a_sample_takes_about_its_share_and_the_same_lines_again() -> None:
    lines = [line([float(number)]) for number in range(4000)]
    first = wanted(UploadRule(sample=0.05), *lines)
    assert 130 < sum(first) < 270
    assert wanted(UploadRule(sample=0.05), *lines) == first


@pytest.mark.parametrize(
    ("data", "shape", "unsure"),
    [
        ([0.5, 0.45, 0.05], [1, 3], True),
        ([0.9, 0.05, 0.05], [1, 3], False),
        ([0.9, 0.05, 0.05, 0.4, 0.35, 0.25], [2, 3], True),
        ([0.55], [1], True),
        ([0.95], [1, 1], False),
        ([0.95, 0.48], [2], True),
        ([17.0], [1], False),
        ([3.0, 2.99], [1, 2], False),
        ([None, 0.5], [1, 2], True),
        (["NaN", 0.5], [1, 2], True),
        # A log holds the first values of a long tensor: half a row is none.
        ([0.9, 0.1, 0.5], [4, 2], False),
        ([], [0, 2], False),
    ],
)
def test_an_answer_is_unsure_when_two_probabilities_of_a_row_are_near(
    data: list[Any], shape: list[int], unsure: bool
) -> None:
    assert wanted(UploadRule(uncertain=0.2), line(data, shape)) == [unsure]


def test_an_answer_that_differs_from_the_last_one_that_was_sent_for_it_is_sent() -> None:
    rule = UploadRule(changed=0.5)
    values = [1.0, 1.4, 1.6, 1.5, 2.2, float("nan"), float("nan")]
    lines = [line([each]) for each in values[:5]] + [line([None])] * 2
    assert wanted(rule, *lines) == [True, False, True, False, True, True, False]
    assert wanted(
        rule, line(["a"], datatype="BYTES"), line(["a"], datatype="BYTES"), line(["b"], datatype="BYTES")
    ) == [
        True,
        False,
        True,
    ]
    assert wanted(rule, line([1.0]), line([1.0, 1.0])) == [True, True]


def test_rules_together_send_what_one_of_them_asks_for() -> None:
    rule = UploadRule(uncertain=0.2, changed=0.5)
    sure, unsure = line([0.9, 0.1], [1, 2]), line([0.55, 0.45], [1, 2])
    assert wanted(rule, sure, sure, unsure, sure) == [True, False, True, False]
