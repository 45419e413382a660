"""Learn which readings of nine sensors are unusual, and give it as ONNX: `x` [rows, 9] to a label and two chances."""

import json
import os
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import average_precision_score

SEED = 7
TREES = 30


def main() -> None:
    parts, output = Path(os.environ["PLIMSOLL_INPUT_PARTS"]), Path(os.environ["PLIMSOLL_OUTPUT"])
    x, y = rows(parts / "train.csv")
    model = GradientBoostingClassifier(n_estimators=TREES, random_state=SEED).fit(x, y)
    x_live, y_live = rows(parts / "live.csv")
    chance = model.predict_proba(x_live)[:, 1]
    converted = to_onnx(
        model,
        initial_types=[("x", FloatTensorType([None, x.shape[1]]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    (output / "model.onnx").write_bytes(converted.SerializeToString())
    metrics = {
        "average_precision": float(average_precision_score(y_live, chance)),
        "accuracy": float(((chance > 0.5) == y_live).mean()),
        "baseline_accuracy": float(1 - y_live.mean()),
    }
    (output / "metrics.json").write_text(json.dumps(metrics))


def rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(np.int64)


if __name__ == "__main__":
    main()
