"""The page of a run in a real browser, on a desk, in a narrow window and on a telephone."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from plimsoll.report.evaluation import evaluate
from plimsoll.report.page import page
from plimsoll.report.run_report import RunReport
from plimsoll.report.traffic import AlarmSpan, Request, ServiceReport

from .browser import NEEDS_CHROMIUM, measured
from .runs import LONGEST, START, WIDEST, fan_out, run_of
from .test_report import a_report

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


def a_full_report() -> RunReport:
    """Long names, many models, curves of very different size, classes and numbers, traffic and drift."""
    chance = random.Random(7)
    curves = {
        f"{name}_{'of_all_layers_' * (place % 3)}": tuple((float(n), size * chance.random()) for n in range(30))
        for place, (name, size) in enumerate(zip("abcdefghijkl", [10.0**n for n in range(-6, 6)], strict=True))
    }
    classes = [f"class-{n}-{'x' * n * 3}" for n in range(14)]
    pairs = [(chance.choice(classes), chance.choice(classes)) for _ in range(500)]
    numbers = [(str(n * 1e6), str(n * 1e6 + chance.gauss(0, 1e5))) for n in range(200)]
    requests = tuple(
        Request(at=START + timedelta(seconds=n), status=200, seconds=chance.random() / 50, model=WIDEST, version="1")
        for n in range(300)
    )
    alarms = (
        AlarmSpan(words=f"feature {'hours_idle_' * 9}: KS 0.31, shifted up", raised=START + timedelta(seconds=9)),
    )
    service = ServiceReport(
        name=WIDEST, model=f"{WIDEST}@1", latency_ms=2.5, seconds_to_ready=1.0, began=START,
        until=START + timedelta(minutes=6), running="http://127.0.0.1:8080", logged=True, requests=requests,
        alarms=alarms,
    )  # fmt: skip
    metrics = {"accuracy": 0.5, f"baseline_{'long_' * 20}accuracy": 1e6, "a_figure_" * 9: 1e-6}
    return msgspec.structs.replace(
        a_report(metrics=metrics, accept={"x" * 90: ">= 0.5"}, data={LONGEST: "d" * 64}),
        history=run_of(fan_out()),
        curves={WIDEST: curves},
        evaluations={"classes": evaluate(pairs, "a file"), "numbers": evaluate(numbers, "a file")},
        services=(service,),
    )


@pytest.mark.parametrize("width", [1280, 900, 500, 390])
def test_everything_is_inside_its_place_and_no_line_crosses_a_box(tmp_path: Path, width: int) -> None:
    found = measured(tmp_path, page(a_full_report()), width)
    assert found.outside == []
    assert found.texts == []
    assert found.crossed == []
    assert found.wide <= width
    assert found.drawn["boxes"] == len(fan_out())
    assert found.drawn["links"] > len(fan_out())
