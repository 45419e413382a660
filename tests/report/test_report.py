from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.engine.history import history
from plimsoll.report.contents import ModelReport, comparisons, duration
from plimsoll.report.page import page
from plimsoll.report.run_report import RunReport
from plimsoll.report.terminal import terminal_lines

from .runs import seen

METRICS = {
    "accuracy": 0.56,
    "log_loss": 1.4,
    "baseline_majority_accuracy": 0.42,
    "baseline_linear_model_accuracy": 0.61,
    "baseline_majority_log_loss": 2.2,
}


def a_report(
    name: str = "maintenance", states: tuple[str, ...] = ("done", "done", "failed"), **model: Any
) -> RunReport:
    names = [f"run/{name}", "train/triage", "serve/triage", *(f"run/s{n}" for n in range(len(states) - 3))]
    steps = [{"name": one, "key": "k", "needs": names[:1] if n else []} for n, one in enumerate(names)]
    observations = [
        seen(0, "run", "run-planned", run="r1", application=name, target="local", steps=steps, file="plimsoll.yaml")
    ]
    for place, (one, state) in enumerate(zip(names, states, strict=True)):
        observations.append(seen(place, one, "step-started", key="k"))
        for rank in range(2):
            observations.append(seen(place + 0.1, one, "worker-started", rank=rank, pid=1, attempt=1))
            ended = {"code": 0, "signal": None, "cpu_seconds": 1.5, "peak_memory": 50_000_000}
            observations.append(seen(place + 0.8, one, "worker-ended", rank=rank, attempt=1, **ended))
        reason = "no such column: age" if state == "failed" else ""
        result = {"outputs": [{"name": "x", "size": 1234}]} if state == "done" else {}
        observations.append(
            seen(place + 0.9, one, "step-ended", state=state, cached=False, reason=reason, result=result)
        )
    observations.append(seen(len(states), "run", "run-ended", state="failed"))
    told = {"metrics": METRICS, "created": "2026-03-04", "author": "me", "framework": "xgboost", **model}
    models = (
        ModelReport(
            name="triage",
            version=2,
            digest="sha256:" + "ab" * 32,
            command="python train.py",
            environment="e" * 64,
            **told,
        ),
    )
    curve = {"train": tuple((float(n), 1 / (n + 1)) for n in range(50))}
    return RunReport(
        history=history(observations), models=models, curves={"triage": curve}, versions={"plimsoll": "0.1.0"}
    )


class Balanced(HTMLParser):
    """Fails on tags that are not closed in their order, and collects what a browser would fetch."""

    VOID = frozenset({"meta", "br", "rect", "path", "line", "polyline", "circle", "link", "img", "col"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Balanced:
    reader = Balanced()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_tells_every_step_its_state_and_what_went_wrong() -> None:
    reader = read(page(a_report()))
    text = " ".join(reader.text)
    for word in (
        "run/maintenance",
        "train/triage",
        "serve/triage",
        "no such column: age",
        "✗ failed",
        "2 of 3 steps ran",
    ):
        assert word in text


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = page(a_report())
    assert read(html).fetched == []
    assert re.findall(r"url\(|@import|https?://", html) == []


def test_the_page_stays_small_whatever_ran() -> None:
    assert len(page(a_report(states=("done",) * 1000)).encode()) < 200_000
    assert len(page(a_report(states=("done",) * 60)).encode()) < 200_000


def test_a_model_that_is_worse_than_a_baseline_is_called_worse() -> None:
    told = {(one.metric, one.baseline): one.sentence for one in comparisons(METRICS)}
    assert told == {
        ("accuracy", "majority"): "0.14 better than majority",
        ("accuracy", "linear_model"): "0.05 worse than linear model",
        ("log_loss", "majority"): "0.8 better than majority",
    }
    assert "0.05 worse than linear model" in page(a_report())
    assert any("0.05 worse than linear model" in line for line in terminal_lines(a_report(), 100, colour=False))


@settings(deadline=None, max_examples=30)
@given(name=st.text(min_size=1, max_size=80), refusal=st.text(max_size=200))
def test_no_text_whatever_gets_out_of_its_place(name: str, refusal: str) -> None:
    report = a_report(name.replace("/", "_"), refusals=(refusal, "<script>alert(1)</script>"))
    html = page(report)
    assert "<script" not in html
    read(html)
    for line in terminal_lines(report, 80, colour=False):
        assert len(line) <= 80
        assert line.isprintable() or not line.strip()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, 0.0])
def test_odd_figures_are_drawn_all_the_same(value: float) -> None:
    html = page(a_report(metrics={"accuracy": value, "baseline_other_accuracy": value}))
    assert "accuracy" in " ".join(read(html).text)


def test_a_run_without_anything_is_a_page_too() -> None:
    planned = seen(0, "run", "run-planned", run="r", application="a", target="local", steps=[])
    assert "0 of 0 steps ran" in page(RunReport(history=history([planned])))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.0099, "9.9 ms"),
        (0.25, "250 ms"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3700, "1 h 1 min"),
    ],
)
def test_lengths_of_time_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
