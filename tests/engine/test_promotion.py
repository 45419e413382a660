"""What makes a new version worse: known values, brute force, and how often chance alone decides."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.engine.promotion.judging import (
    Judgement,
    VersionSample,
    judge,
    more_failures_by_chance,
    slower_by_chance,
)

ACCEPT = {"accuracy": ">= 0.9", "error": "<= 0.2"}


def judged(old: VersionSample, new: VersionSample, looks: int = 16) -> Judgement:
    return judge(old, new, accept=ACCEPT, least=100, looks=looks)


def seen(requests: int, failures: int = 0, latencies: tuple[int, ...] = (), **metrics: float) -> VersionSample:
    return VersionSample(requests=requests, failures=failures, latencies=latencies, metrics=metrics)


def test_fisher_gives_the_value_of_the_books() -> None:
    # The table 1, 9 / 11, 3, whose one-sided value stands in many of them.
    assert more_failures_by_chance(1, 12, 9, 12) == pytest.approx(0.001379728, rel=1e-6)


@given(
    old=st.lists(st.integers(0, 4), min_size=4, max_size=4).filter(any),
    new=st.lists(st.integers(0, 4), min_size=4, max_size=4).filter(any),
)
def test_the_slower_of_two_is_what_counting_all_pairs_gives(old: list[int], new: list[int]) -> None:
    olds = [bucket for bucket, count in enumerate(old) for _ in range(count)]
    news = [bucket for bucket, count in enumerate(new) for _ in range(count)]
    pairs = [1.0 if b > a else 0.5 if b == a else 0.0 for a, b in product(olds, news)]
    effect, chance = slower_by_chance(old, new)
    assert effect == pytest.approx(sum(pairs) / len(pairs))
    assert 0 <= chance <= 1


def test_a_version_that_is_no_worse_is_hardly_ever_sent_back() -> None:
    draw = random.Random(7)
    sent_back = 0
    for _ in range(300):
        sides = []
        for _ in range(2):
            failures = sum(draw.random() < 0.03 for _ in range(400))
            latencies = [0] * 5
            for _ in range(400):
                latencies[min(4, int(draw.expovariate(1)))] += 1
            sides.append(seen(400, failures, tuple(latencies)))
        sent_back += bool(judged(sides[0], sides[1], looks=1).worse)
    # Two questions at one per cent each: six are to be expected, twenty come once in a hundred thousand times.
    assert sent_back < 20


@pytest.mark.parametrize(
    ("old", "new", "question"),
    [
        (seen(1000, 5), seen(200, 20), "failed requests"),
        (seen(1000, 0), seen(300, 12), "failed requests"),
        (seen(500, 0, (400, 90, 10)), seen(200, 0, (50, 100, 50)), "latency"),
        (VersionSample(requests=500, failures=0, latencies=(), right=460, labelled=500),
         VersionSample(requests=500, failures=0, latencies=(), right=380, labelled=500), "late labels"),
        (seen(500, accuracy=0.95), seen(500, accuracy=0.91), "accuracy"),
        (seen(500, error=0.1), seen(500, error=0.15), "error"),
    ],
)  # fmt: skip
def test_what_is_worse_is_named_with_its_numbers(old: VersionSample, new: VersionSample, question: str) -> None:
    worse = judged(old, new).worse
    assert [finding.question for finding in worse] == [question]
    assert "against" in worse[0].numbers or "slower" in worse[0].numbers
    assert "— worse" in worse[0].line()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (seen(1000, 50), seen(200, 2)),
        (seen(500, 0, (100, 300, 100)), seen(200, 0, (150, 50, 0))),
        (seen(100_000, 0, (50_000, 50_000)), seen(100_000, 0, (49_000, 51_000))),
        (seen(500, accuracy=0.95), seen(500, accuracy=0.9499)),
        (seen(500, error=0.1), seen(500, error=0.05)),
    ],
)
def test_what_is_better_or_differs_by_nothing_that_anybody_feels_is_not_worse(
    old: VersionSample, new: VersionSample
) -> None:
    assert not judged(old, new).worse


def test_figures_of_different_data_are_not_compared_and_that_is_said() -> None:
    def measured(accuracy: float, **data: str) -> VersionSample:
        return VersionSample(requests=500, failures=0, latencies=(), metrics={"accuracy": accuracy}, data=data)

    same = judged(measured(0.95, orders="a"), measured(0.91, orders="a"))
    assert [finding.question for finding in same.worse] == ["accuracy"]
    assert not same.not_compared
    other = judged(measured(0.95, orders="a", labels="c"), measured(0.91, orders="b", labels="c"))
    assert not other.worse
    (finding,) = other.not_compared
    assert finding.line() == "accuracy: not compared: the versions were measured on different data (orders)"
    assert judged(measured(0.95, orders="a"), measured(0.91)).not_compared


def test_few_requests_are_not_enough_however_good_they_are() -> None:
    assert not judged(seen(10_000), seen(99)).enough
    assert not judged(seen(99), seen(10_000)).enough
    assert judged(seen(100), seen(100)).enough
