"""Learn from what the devices have sent how many cars there are: from which score on a detection counts as a car.

Without anything sent, a detection counts from 0.5 on, as is usual. `error` is by how many cars the count is off, on
average, on the frames that are not learnt from.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

USUAL = 0.5
MOST = 16
JAM = 4  # cars in one frame
SHARPNESS = 4.0  # of the chance of a jam, per car more or less


def main() -> None:
    with Path(os.environ["PLIMSOLL_INPUT_COUNTED"]).open(newline="") as file:
        counted = {int(row["frame"]): int(row["cars"]) for row in csv.DictReader(file)}
    seen = [each for each in sent(Path(os.environ["PLIMSOLL_INPUT_SENT"])) if each[0] in counted]
    scores = np.array([each for _, each in seen], np.float32).reshape(-1, MOST)
    cars = np.array([counted[frame] for frame, _ in seen])
    learnt_from = np.array([is_learnt_from(frame) for frame, _ in seen], bool)
    threshold = learnt(scores[learnt_from], cars[learnt_from])
    metrics = {"threshold": threshold, "frames": float(learnt_from.sum())}
    if (~learnt_from).any():
        metrics |= {
            "error": off(scores[~learnt_from], cars[~learnt_from], threshold),
            "baseline_usual_error": off(scores[~learnt_from], cars[~learnt_from], USUAL),
        }
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    onnx.save(head(threshold), output / "model.onnx")
    (output / "metrics.json").write_text(json.dumps(metrics))


def sent(directory: Path) -> Iterator[tuple[int, list[float]]]:
    """Frames with the scores of their cars, from the audit logs of the service `cars` of all devices."""
    for path in sorted(directory.glob("*/*-cars-audit.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            inputs = {each["name"]: each["data"] for each in told.get("inputs", ()) if "data" in each}
            # What Plimsoll asks to prove a new model has no id.
            if "id" in told and "scores" in inputs:
                yield int(told["id"].rpartition("-")[2]), inputs["scores"]


def is_learnt_from(frame: int) -> bool:
    """Every second of the counted frames; the others are for judging."""
    return frame % 20 == 0


def learnt(scores: np.ndarray, cars: np.ndarray) -> float:
    """The threshold with the least error; the middle of those that are equally good."""
    if not len(cars):
        return USUAL
    tried = np.round(np.arange(0.1, 0.9, 0.01), 2)
    errors = np.array([off(scores, cars, each) for each in tried])
    return float(np.round(np.median(tried[errors == errors.min()]), 3))


def off(scores: np.ndarray, cars: np.ndarray, threshold: float) -> float:
    return float(np.abs((scores >= np.float32(threshold)).sum(1) - cars).mean())


def head(threshold: float) -> onnx.ModelProto:
    """Scores of a frame's cars, [frames, 16], to their count and the chances of no jam and of a jam, [frames, 2]."""
    weights = {
        "threshold": np.float32(threshold),
        "dense": np.float32(JAM - 0.5),
        "sharpness": np.float32(SHARPNESS),
        "one": np.float32(1),
        "across": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("GreaterOrEqual", ["scores", "threshold"], ["counts"]),
        helper.make_node("Cast", ["counts"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "across"], ["sum"], keepdims=1),
        helper.make_node("Squeeze", ["sum", "across"], ["total"]),
        helper.make_node("Cast", ["total"], ["count"], to=TensorProto.INT64),
        helper.make_node("Sub", ["sum", "dense"], ["beyond"]),
        helper.make_node("Mul", ["beyond", "sharpness"], ["sharp"]),
        helper.make_node("Sigmoid", ["sharp"], ["chance"]),
        helper.make_node("Sub", ["one", "chance"], ["other"]),
        helper.make_node("Concat", ["other", "chance"], ["jam"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "cars",
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["frames", MOST])],
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, ["frames"]),
            helper.make_tensor_value_info("jam", TensorProto.FLOAT, ["frames", 2]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


if __name__ == "__main__":
    main()
