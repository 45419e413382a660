"""Train a logistic regression by gradient descent; export it as ONNX with the names of its features and classes."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES = ["vibration", "temperature", "pressure"]
CLASSES = ["sound", "worn"]

features, output = Path(os.environ["PLIMSOLL_INPUT_FEATURES"]), Path(os.environ["PLIMSOLL_OUTPUT"])
with (features / "train.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
x = np.array([[float(row[name]) for name in FEATURES] for row in rows])
y = np.array([int(row["worn"]) for row in rows])
split = int(len(y) * 0.8)

mean, deviation = x[:split].mean(axis=0), x[:split].std(axis=0)
scaled = (x - mean) / deviation
weights, bias = np.zeros(len(FEATURES)), 0.0
with (output / "metrics.jsonl").open("w") as curve:
    for step in range(1, 301):
        probability = 1 / (1 + np.exp(-(scaled[:split] @ weights + bias)))
        weights -= 0.5 * scaled[:split].T @ (probability - y[:split]) / split
        bias -= 0.5 * float((probability - y[:split]).mean())
        if step % 10 == 0:
            loss = -np.log(np.where(y[:split] == 1, probability, 1 - probability)).mean()
            curve.write(json.dumps({"step": step, "loss": float(loss)}) + "\n")

predicted = ((scaled[split:] @ weights + bias) > 0).astype(int)
right = predicted == y[split:]
majority = np.bincount(y[:split]).argmax()
metrics = {
    "accuracy": float(right.mean()),
    "baseline_majority_accuracy": float((y[split:] == majority).mean()),
    "test_rows": len(y) - split,
}
(output / "metrics.json").write_text(json.dumps(metrics))
with (output / "predictions.csv").open("w", newline="") as file:  # the report shows where the model is wrong
    judged = csv.writer(file)
    judged.writerow(["label", "prediction"])
    judged.writerows([CLASSES[label], CLASSES[guess]] for label, guess in zip(y[split:], predicted, strict=True))
print(metrics)

slope = (weights / deviation).astype(np.float32).reshape(-1, 1)
offset = np.array([bias - float(mean @ (weights / deviation))], dtype=np.float32)
graph = helper.make_graph(
    [
        helper.make_node("Gemm", ["features", "slope", "offset"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
        helper.make_node("Greater", ["probability", "half"], ["above"]),
        helper.make_node("Cast", ["above"], ["label"], to=TensorProto.INT64),
    ],
    "wear",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(FEATURES)])],
    [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None, 1]),
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1]),
    ],
    [
        numpy_helper.from_array(slope, "slope"),
        numpy_helper.from_array(offset, "offset"),
        numpy_helper.from_array(np.array(0.5, dtype=np.float32), "half"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
helper.set_model_props(model, {"features": json.dumps(FEATURES), "classes": json.dumps(CLASSES)})
onnx.checker.check_model(model)
onnx.save(model, output / "model.onnx")
