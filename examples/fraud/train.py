"""One XGBoost model, trained by both workers together: each has half of the payments, trees grow from the sums.

Every worker runs this script. Checkpoints make a new start go on where the last one ended, with the same result.
"""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import xgboost as xgb
from judging import ALERTS, average_precision, logistic_regression, recall_at_alerts, rules

ROUNDS = int(os.environ.get("PLIMSOLL_PARAM_ROUNDS", "120"))
SEGMENT = 20  # rounds between two checkpoints


def main() -> None:
    features, output = Path(os.environ["PLIMSOLL_INPUT_FEATURES"]), Path(os.environ["PLIMSOLL_OUTPUT"])
    checkpoints = Path(os.environ["PLIMSOLL_CHECKPOINT"])
    about = json.loads((features / "about.json").read_text())
    train = Payments(features / "train.csv", about["features"])
    with xgb.collective.CommunicatorContext(
        dmlc_communicator="rabit",
        dmlc_tracker_uri=os.environ["DMLC_TRACKER_URI"],
        dmlc_tracker_port=int(os.environ["DMLC_TRACKER_PORT"]),
        dmlc_task_id=os.environ["DMLC_TASK_ID"],
        dmlc_timeout=30,
        dmlc_retry=3,
    ):
        rank, size = xgb.collective.get_rank(), xgb.collective.get_world_size()
        mine = np.arange(rank, len(train.fraud), size)
        print(f"worker {rank} of {size}: {len(mine)} of {len(train.fraud)} payments", flush=True)
        shard = xgb.DMatrix(train.rows[mine], train.fraud[mine], feature_names=about["features"])
        booster = grow(shard, checkpoints, rank)
        digest = hashlib.sha256(booster.save_raw("ubj")).hexdigest()
        print(f"worker {rank}: model {digest[:16]} after {booster.num_boosted_rounds()} rounds", flush=True)
        if xgb.collective.broadcast(digest, 0) != digest:
            raise SystemExit(f"worker {rank} holds another model than worker 0")
    # Outside of the communicator: inside, each matrix is one of all workers together.
    if rank == 0:
        report(booster, train, Payments(features / "test.csv", about["features"]), about, output)


class Payments:
    """The payments of one file: their features, whether they were fraud, their days and channels."""

    def __init__(self, path: Path, names: list[str]) -> None:
        with path.open(newline="") as file:
            found = list(csv.DictReader(file))
        self.rows = np.array([[row[name] for name in names] for row in found], dtype=np.float32)
        self.fraud = np.array([row["fraud"] for row in found], dtype=np.int64)
        self.days = np.array([row["time"][:10] for row in found])
        self.channels = [row["channel"] for row in found]


def grow(shard: xgb.DMatrix, checkpoints: Path, rank: int) -> xgb.Booster:
    """Segments of rounds. Worker 0's checkpoints count: it tells the others where to go on."""
    parameters = {
        "objective": "binary:logistic", "tree_method": "hist", "eta": 0.1, "max_depth": 5, "min_child_weight": 4,
        "subsample": 0.9, "colsample_bytree": 0.8, "base_score": 0.5, "nthread": 1,
    }
    done = max((int(path.stem) for path in checkpoints.glob("*.ubj")), default=0)
    kept = (checkpoints / f"{done:05d}.ubj").read_bytes() if done and rank == 0 else b""
    done, kept = xgb.collective.broadcast((done, kept), 0)
    booster = xgb.Booster(model_file=bytearray(kept)) if done else None
    while done < ROUNDS:
        seen: dict = {}
        booster = xgb.train(
            {**parameters, "seed": 11 + done}, shard, min(SEGMENT, ROUNDS - done), xgb_model=booster,
            evals=[(shard, "train")], evals_result=seen, verbose_eval=False,
        )
        done = min(done + SEGMENT, ROUNDS)
        if rank == 0:
            temporary = checkpoints / f".{done:05d}"
            temporary.write_bytes(booster.save_raw("ubj"))
            temporary.rename(checkpoints / f"{done:05d}.ubj")
            print(f"[{done}] log loss {seen['train']['logloss'][-1]:.4f}", flush=True)
        # Nobody begins a segment that worker 0 has not kept the one before of.
        xgb.collective.broadcast(done, 0)
        booster = xgb.Booster(model_file=booster.save_raw("ubj"))
    return booster


def report(booster: xgb.Booster, train: Payments, test: Payments, about: dict, output: Path) -> None:
    """The model in two forms, its figures beside those of what needs no cluster, and each tested payment."""
    names = about["features"]
    scores = booster.predict(xgb.DMatrix(test.rows, feature_names=names))
    # The card's precision and recall are of so many alerts as people can look at.
    alerts = ALERTS * len(np.unique(test.days))
    bound = np.sort(scores)[-min(alerts, len(scores))]
    metrics = {"test_payments": len(scores), "test_fraud": int(test.fraud.sum())}
    others = {
        "": scores,
        "baseline_rules_": rules(test.rows, names),
        "baseline_logistic_regression_": logistic_regression(train.rows, train.fraud, test.rows),
    }
    for name, given in others.items():
        metrics[f"{name}average_precision"] = average_precision(given, test.fraud)
        metrics[f"{name}recall_at_alerts"] = recall_at_alerts(given, test.fraud, test.days)
    export(booster, about, output)
    metrics["onnx_difference"] = difference(output / "model.onnx", test.rows, scores)
    (output / "metrics.json").write_text(json.dumps(metrics))
    with (output / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "prediction", "score", "channel"])
        for label, score, channel in zip(test.fraud, scores, test.channels, strict=True):
            writer.writerow([label, int(score >= bound), f"{score:.6f}", channel])
    print(json.dumps(metrics), flush=True)


def export(booster: xgb.Booster, about: dict, output: Path) -> None:
    """ONNX with the names of its features, and XGBoost's own file, which has what explanations need."""
    import onnx
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster.save_model(output / "model.json")
    plain = xgb.Booster(model_file=booster.save_raw("ubj"))
    plain.feature_names = None  # the converter takes f0, f1, … alone
    width = len(about["features"])
    inputs = [("features", FloatTensorType([None, width]))]
    model = onnxmltools.convert_xgboost(plain, initial_types=inputs, target_opset=15)
    onnx.helper.set_model_props(model, {name: json.dumps(about[name]) for name in ("features", "classes")})
    onnx.save(model, output / "model.onnx")


def difference(path: Path, rows: np.ndarray, scores: np.ndarray) -> float:
    """The largest difference between the exported model's scores and the trained one's, on 200 payments."""
    from onnx.reference import ReferenceEvaluator

    _, exported = ReferenceEvaluator(str(path)).run(None, {"features": rows[:200]})
    return float(np.abs(np.asarray(exported)[:, 1] - scores[:200]).max())


if __name__ == "__main__":
    main()
