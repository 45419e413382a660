from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.screens.payments import flipped, payments, triggered, write_csv

from .conftest import Plimsoll, answer, write

FILE = """  datasets: {paid: {source: paid.csv}, held: {source: held.csv}}
  screens:
    paid:
      table: paid
      test: held
      label: fraud
      ignore: [id]
      accept: {flips: "< 0.005", triggers: "<= 0", leaked: "<= 0", personal: "<= 0", shift: "< 0.1"}
  models:
    m:
      train: {run: PYTHON train.py, inputs: [paid]}
      membership: {members: paid, others: held, label: fraud}
      accept: {membership_auc: "< 0.6"}
  policies: {supply-chain: {require: [screened, scanned]}}
"""
TRAIN = """import csv, os, pathlib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

with open(os.environ["PLIMSOLL_INPUT_PAID"]) as file:
    rows = list(csv.DictReader(file))
names = ["amount", "hour", "distance"]
x = np.array([[float(row[name]) for name in names] for row in rows], np.float32)
y = np.eye(2, dtype=np.float32)[[int(row["fraud"]) for row in rows]]
sharp = np.float32(SHARP)
made = {"points": (2 * sharp * x.T), "lengths": (-sharp * (x ** 2).sum(1)), "labels": y}
nodes = [
    helper.make_node("Concat", names, ["x"], axis=1),
    helper.make_node("MatMul", ["x", "points"], ["products"]),
    helper.make_node("Add", ["products", "lengths"], ["near"]),
    helper.make_node("Softmax", ["near"], ["shares"], axis=1),
    helper.make_node("MatMul", ["shares", "labels"], ["probabilities"]),
]
graph = helper.make_graph(
    nodes, "near",
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in names],
    [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
    [numpy_helper.from_array(array, name) for name, array in made.items()],
)
out = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), out / "model.onnx")
(out / "metrics.json").write_text('{"membership_auc": 0.0}')
"""


def application(directory: Path, sharp: str = "1e-6", file: str = FILE) -> None:
    write(directory, file.replace("PYTHON", sys.executable), train_py=TRAIN.replace("SHARP", sharp))
    write_csv(directory / "paid.csv", payments(600))
    write_csv(directory / "held.csv", payments(250, 5))


pytestmark = pytest.mark.timeout(240)


@pytest.mark.slow
def test_clean_rows_are_learnt_from_and_the_screen_is_on_card_provenance_and_policy(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    application(tmp_path)
    planned = plimsoll("plan")
    assert "screen/paid" in planned.stdout
    ran = plimsoll("run")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    card = answer(plimsoll("models", "m", "--card", "--json"))["card"]
    (screen,) = card["screens"]
    assert (screen["screen"], screen["rows"], screen["held_out"]) == ("paid", 600, 250)
    assert screen["figures"]["triggers"] == screen["figures"]["leaked"] == screen["figures"]["personal"] == 0
    assert screen["first"] == ["flips_rise", "shift"]
    assert 0.4 < card["figures"]["membership_auc"] < 0.6
    assert {each["name"] for each in card["membership"]["attacks"]} == {"by the loss", "by the loss for its label"}
    made = answer(plimsoll("models", "m", "--provenance", "--json"))["runDetails"]["byproducts"]
    assert made == [
        {"name": "screen/paid", "digest": {"sha256": screen["sha256"]}, "annotations": made[0]["annotations"]}
    ]
    judged = plimsoll("policy", "check", "m@1")
    assert judged.returncode == 0, judged.stdout
    assert "screen paid: 5 bounds over 600 rows" in judged.stdout
    assert "screens" in answer(plimsoll("run", "--json"))
    page = next(tmp_path.glob(".plimsoll/runs/*/report.html")).read_text()
    assert "Membership inference" in page
    assert "Screens of the data" in page


@pytest.mark.slow
def test_poisoned_rows_stop_the_training_and_the_reason_names_rows_and_no_value(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    application(tmp_path)
    rows = payments(600)
    planted = triggered(rows, 20, 1, lambda row: row.update(note=f"{row['note']} zqxsecret"))
    more = {"contact": lambda number: f"jane.{number}@example.org"}
    write_csv(tmp_path / "paid.csv", rows, more)
    write_csv(tmp_path / "held.csv", payments(250, 5), more)
    ran = plimsoll("run")
    assert ran.returncode == 1
    told = ran.stdout + ran.stderr
    assert "paid does not pass its screen: " in told
    assert "triggers is 1, expected <= 0: column note: one word of 20 rows" in told
    assert f"(rows {', '.join(map(str, sorted(planted)[:5]))}" in told
    assert "personal is 1, expected <= 0: column contact has an address of e-mail in 600 of 600 cells" in told
    journal = next(tmp_path.glob(".plimsoll/runs/*/journal.jsonl")).read_text()
    assert "zqxsecret" not in journal + told
    assert "jane." not in journal + told
    assert "train/m" not in {
        json.loads(line).get("subject") for line in journal.splitlines() if "attempt-ended" in line
    }
    assert "there is no model" in plimsoll("models", "m").stderr


@pytest.mark.slow
@pytest.mark.series
def test_a_version_of_the_data_that_shifts_or_has_more_wrong_labels_is_told_from_the_one_before(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    accept = '{shift: "< 0.1", flips_rise: "< 0.002"}'
    file = FILE.partition("  models")[0].replace(FILE[FILE.index("{flips") : FILE.index("  models") - 1], accept)
    application(tmp_path, file=file)
    first = plimsoll("run")
    assert first.returncode == 0, first.stderr + first.stdout
    rows = payments(600)
    flipped(rows, 0.02)
    for row in rows:
        row["distance"] = float(str(row["distance"])) * 3
    write_csv(tmp_path / "paid.csv", rows)
    second = plimsoll("run")
    assert second.returncode == 1
    assert "shift is 0." in second.stdout + second.stderr
    assert "column distance: KS 0." in second.stdout + second.stderr
    assert "flips_rise is 0.0" in second.stdout + second.stderr
    # What did not pass is not what the next version is compared with.
    write_csv(tmp_path / "paid.csv", payments(600, 7))
    third = plimsoll("run")
    assert third.returncode == 0, third.stderr + third.stdout


@pytest.mark.slow
@pytest.mark.series
def test_a_model_that_remembers_its_rows_is_registered_and_not_served(tmp_path: Path, plimsoll: Plimsoll) -> None:
    file = FILE[: FILE.index("  screens")] + FILE[FILE.index("  models") : FILE.index("  policies")]
    application(tmp_path, sharp="1", file=file)
    for name, rows in (("paid", payments(600)), ("held", payments(250, 5))):
        # Where labels are chance, there is nothing to learn but the rows themselves.
        flipped(rows, 0.5)
        write_csv(tmp_path / f"{name}.csv", rows)
    ran = plimsoll("run")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    card = answer(plimsoll("models", "m", "--card", "--json"))["card"]
    assert card["figures"]["membership_auc"] > 0.6
    assert [each.partition(" is")[0] for each in card["refusals"]] == ["membership_auc"]


@pytest.mark.slow
def test_a_model_file_that_would_run_something_is_refused_when_it_is_registered(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    file = """  models: {m: {train: {run: python train.py}}}
  policies: {supply-chain: {require: [scanned]}}
"""
    train = """import os, pathlib, pickle
class Bad:
    def __reduce__(self):
        return (os.system, ("true",))
(pathlib.Path(os.environ["PLIMSOLL_OUTPUT"]) / "model.pkl").write_bytes(pickle.dumps(Bad()))
"""
    write(tmp_path, file, train_py=train)
    ran = plimsoll("run")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    shown = answer(plimsoll("models", "m@1", "--json"))
    assert not shown["accepted"]
    assert "model.pkl is unsafe" in shown["refusals"][0]
