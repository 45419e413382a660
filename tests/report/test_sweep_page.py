"""The sections of a report on a sweep, and on how to ask its services."""

from __future__ import annotations

from typing import Any

from plimsoll.engine.history import RunHistory, history
from plimsoll.engine.sweep.trials import Sweep, sweep_of
from plimsoll.evidence.observation import Observation
from plimsoll.report.page import page
from plimsoll.report.run_report import RunReport
from plimsoll.report.service_examples import service_examples
from plimsoll.report.sweeps import plot
from tests.report.runs import seen
from tests.report.test_report import Balanced

EVIL = "<b>&'"


def observed(*values: dict[str, Any], log: str = "") -> list[Observation]:
    names = {name: log for each in values for name in each["parameters"]}
    planned = {"id": "i", "model": "m", "objective": "score", "maximize": True, "searched": names, "trials": 9}
    found = [
        seen(0, "run", "run-planned", run="r1", application="a", target="local", steps=[]),
        seen(0, "sweep", "sweep-planned", **planned),
    ]
    for number, each in enumerate(values, 1):
        found.append(seen(1, "sweep", "trial-begun", number=number, parameters=each["parameters"], train="train/m"))
        ended = {"state": "done", **{name: value for name, value in each.items() if name != "parameters"}}
        found.append(seen(2, "sweep", "trial-ended", number=number, **ended))
    return [*found, seen(3, "run", "run-ended", state="done")]


def written(observations: list[Observation]) -> tuple[RunHistory, Sweep, str]:
    run, sweep = history(observations), sweep_of(observations)
    assert sweep is not None
    return run, sweep, page(RunReport(history=run, sweep=sweep))


def test_each_trial_is_a_row_and_each_with_a_value_a_point() -> None:
    _, sweep, text = written(
        observed(
            {"parameters": {"rate": 0.1, "kind": EVIL}, "value": 0.5},
            {"parameters": {"rate": 0.2, "kind": "b"}, "value": 0.9},
            {"parameters": {"rate": 0.3, "kind": "c"}, "value": 0.95, "refusals": ["loss is 3, expected < 1"]},
            {"parameters": {"rate": 0.4, "kind": "c"}, "state": "failed", "reason": EVIL},
        )
    )
    Balanced().feed(text)
    assert text.count('<circle class="trial best"') == 2, "one for each parameter"
    assert text.count('<circle class="trial yes"') == 2
    assert text.count('<circle class="trial no"') == 2
    assert "trial 2 is the best of the accepted ones" in text
    assert "not accepted: loss is 3, expected &lt; 1" in text
    assert EVIL not in text
    assert [trial.number for trial in sweep.ranked()] == [2, 1, 3, 4]


def test_a_logarithmic_range_has_equal_room_for_each_power_of_ten() -> None:
    rates = (0.001, 0.01, 0.1)
    _, sweep, _ = written(
        observed(*({"parameters": {"rate": each}, "value": each} for each in rates), log="log:0.001:0.1")
    )
    places = [float(part.split('"')[0]) for part in plot(sweep).split('cx="')[1:]]
    assert places[2] - places[1] == places[1] - places[0] > 0


def test_a_sweep_of_equal_values_and_one_without_any_value_have_a_page() -> None:
    _, sweep, text = written(observed({"parameters": {"rate": 1}, "value": 0.5}))
    assert plot(sweep).count("<circle") == 1
    Balanced().feed(text)
    _, without, text = written(observed({"parameters": {"rate": 1}, "state": "failed", "reason": "x"}))
    assert plot(without) == ""
    assert "none is accepted" in text


def test_a_service_has_the_request_that_it_has_answered_as_a_command() -> None:
    steps = [{"name": "serve/s", "key": "k"}, {"name": "serve/other", "key": "l"}]
    example = """{"inputs":[{"name":"it's"}]}"""
    run = history(
        [
            seen(0, "run", "run-planned", run="r1", application="a", target="local", steps=steps),
            seen(1, "serve/s", "step-ended", state="done", result={"model": "m@2", "example": example}),
            seen(1, "serve/other", "step-ended", state="done", result={"model": "n@1"}),
        ]
    )
    (found,) = service_examples(run)
    assert found.service == "s"
    quoted = """'{"inputs":[{"name":"it'"'"'s"}]}'"""
    assert found.command == f"curl $ADDRESS/v2/models/m/infer -d {quoted}"
    text = page(RunReport(history=run))
    Balanced().feed(text)
    assert "curl $ADDRESS/v2/models/m/infer" in text
