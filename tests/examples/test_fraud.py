"""The fraud example: nothing that is known later is in a feature, its figures are right, and its file is."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll.kinds.table import KINDS
from plimsoll.policy.rego.rules import judge_rules
from plimsoll.runtime.server.identities import token_file
from plimsoll.supply.group_figures import average_precision

from .scripts import EXAMPLES, load

EXAMPLE = EXAMPLES / "fraud"
LEFT_OUT = shutil.ignore_patterns(".plimsoll", "__pycache__", "tokens.json", "payments.csv")
prepare, judging, receive, figures, audited = load("fraud", "prepare", "judging", "receive", "figures", "audited")
DAY = 86_400


def payment(number: int, day: float, **more: Any) -> dict[str, Any]:
    seconds = 1_700_000_000 // DAY * DAY + int(day * DAY)
    plain = {"id": str(number), "card": "a", "terminal": "t", "amount": 10.0, "channel": "shop", "km": "1", "fraud": 0}
    return {**plain, "seconds": seconds, "day": seconds // DAY, **more}


def column(payments: list[dict[str, Any]], name: str) -> list[float]:
    names, rows = prepare.features(payments)
    return [float(value) for value in rows[:, names.index(name)]]


def test_the_file_is_right_once_there_is_a_token(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "fraud", ignore=LEFT_OUT)
    token_file.create(tmp_path / "fraud" / "tokens.json", "till", ("infer",), None)
    (tmp_path / "fraud" / "payments.csv").write_text("id,card\n")
    KINDS.check(KINDS.load(tmp_path / "fraud" / "simulation.yaml"))
    KINDS.check(KINDS.load(tmp_path / "fraud" / "plimsoll.yaml"))


def test_whether_a_payment_was_fraud_counts_a_week_later_and_not_before() -> None:
    payments = [payment(0, 0, fraud=1), payment(1, 6.9), payment(2, 7.1), payment(3, 7.2), payment(4, 20)]
    assert column(payments, "terminal_risk_7d") == pytest.approx([0, 0, 1, 1, 0])
    assert column(payments, "terminal_risk_30d") == pytest.approx([0, 0, 1, 1, 1 / 4])


def test_a_payment_is_no_part_of_what_was_usual_before_it() -> None:
    payments = [payment(0, 0, amount=10.0), payment(1, 0.5, amount=30.0), payment(2, 1.2, amount=100.0)]
    assert column(payments, "card_mean_amount_1d") == pytest.approx([0, 10, 30])
    assert column(payments, "card_payments_7d") == pytest.approx([0, 1, 2])
    assert column(payments, "amount_to_usual") == pytest.approx([1, 3, 5])


def test_what_comes_later_changes_no_feature_of_what_came_before() -> None:
    draw = np.random.default_rng(5)
    payments = [
        payment(n, day, card=str(draw.integers(5)), terminal=str(draw.integers(4)), fraud=int(draw.integers(2)))
        for n, day in enumerate(np.sort(draw.uniform(0, 40, 200)))
    ]
    _, rows = prepare.features(payments)
    _, fewer = prepare.features(payments[:120])
    np.testing.assert_array_equal(rows[:120], fewer)


def test_the_gap_between_learning_and_testing_is_as_long_as_fraud_is_unknown() -> None:
    parts = [prepare.part_of(day, 60, 95) for day in range(100)]
    assert [parts.count(part) for part in ("train", "gap", "test", "live")] == [60, 7, 28, 5]


def test_payments_of_one_score_count_by_their_chance() -> None:
    scores, fraud = np.array([3.0, 2.0, 2.0, 1.0]), np.array([0, 1, 0, 1])
    assert judging.recall_at_alerts(scores, fraud, np.array(["d"] * 4), 2) == pytest.approx(0.25)
    assert judging.recall_at_alerts(scores, fraud, np.array(["d", "d", "e", "e"]), 2) == 1
    pairs = list(zip(scores.tolist(), fraud.astype(bool).tolist(), strict=True))
    assert judging.average_precision(scores, fraud) == pytest.approx(average_precision(pairs))


def test_days_that_the_simulation_lacks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "payments.csv").write_text("id,day\na,0\nb,1\nc,2\n")
    (tmp_path / "out").mkdir()
    for name, value in {
        "INPUT_PAYMENTS": tmp_path / "payments.csv",
        "OUTPUT": tmp_path / "out",
        "PARAM_DAYS": 2,
    }.items():
        monkeypatch.setenv(f"PLIMSOLL_{name}", str(value))
    receive.main()
    assert (tmp_path / "out" / "payments.csv").read_text().split() == ["id,day", "a,0", "b,1"]
    monkeypatch.setenv("PLIMSOLL_PARAM_DAYS", "9")
    with pytest.raises(SystemExit, match="no payments of 9 days"):
        receive.main()


@pytest.mark.parametrize(("figure", "denied"), [(0.45, True), (0.47, False)])
def test_the_rule_of_the_bank_asks_for_more_than_the_rules_of_its_fraud_desk(figure: float, denied: bool) -> None:
    metrics = {
        "average_precision": figure,
        "baseline_rules_average_precision": 0.4,
        "recall_at_alerts": 0.6,
        "baseline_rules_recall_at_alerts": 0.4,
    }
    document = {"stage": "serve", "models": [{"reference": "fraud@3", "metrics": metrics}]}
    judged = list(judge_rules(EXAMPLE / "policies", json.dumps(document).encode(), "fraud@3"))
    assert ("broken" in {each.verdict for each in judged}) is denied, judged
    assert any("average_precision of fraud@3 is 0.45" in each.reason for each in judged) is denied, judged


def test_figures_without_a_run_are_told_how_to_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "TRAINED", tmp_path)
    monkeypatch.setattr(figures.sys, "argv", ["figures.py"])
    with pytest.raises(SystemExit, match="plimsoll run"):
        figures.main()


def test_the_calls_of_the_audit_have_the_width_of_the_model() -> None:
    names, _ = prepare.features([payment(0, 0)])
    assert len(names) == audited.WIDTH


@pytest.mark.series
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_example_goes_from_payments_to_a_model_that_beats_the_rules(tmp_path: Path) -> None:
    directory = tmp_path / "fraud"
    shutil.copytree(EXAMPLE, directory, ignore=LEFT_OUT)
    token_file.create(directory / "tokens.json", "till", ("infer",), None)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    simulation = directory / "simulation.yaml"
    subprocess.run([sys.executable, "-m", "plimsoll", "run", "-f", str(simulation)], env=environment, check=True)
    shutil.copy(directory / ".plimsoll/latest/run/simulated/payments.csv", directory / "payments.csv")
    ran = subprocess.run(
        [sys.executable, "-m", "plimsoll", "run", "-f", str(directory), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    model = json.loads(ran.stdout)["models"]["fraud"]
    metrics = model["metrics"]
    assert model["accepted"] is True
    for figure in ("average_precision", "recall_at_alerts"):
        assert metrics[figure] > 1.15 * metrics[f"baseline_rules_{figure}"]
    card = subprocess.run(
        [sys.executable, "-m", "plimsoll", "models", "fraud", "--card", "--json", "-f", str(directory)],
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(card.stdout)["card"]
    assert {group["value"] for group in told["judged"]["groups"]} == {"online", "shop"}
    assert told["judged"]["figures"]["average_precision"] == pytest.approx(metrics["average_precision"], abs=1e-3)
    assert told["explained"]["rows"] > 100
    with next(directory.glob(".plimsoll/results/*/output/train.csv")).open(newline="") as file:
        assert {each["name"]: each["rows"] for each in told["data"]}["features/train.csv"] == sum(
            1 for _ in csv.DictReader(file)
        )
