"""One XGBoost model, trained by all workers together: each has a share of the rows, the trees are grown from the sums.

Every worker runs this script. The tracker's address and the worker's number come from DMLC's variables, as under any
launcher of XGBoost; checkpoints make a new start go on where the last one ended, with the same result.
"""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xgboost as xgb

ROUNDS = int(os.environ.get("ROUNDS", "80"))
SEGMENT = 10  # rounds between two checkpoints
VALIDATION = 0.1  # newest share of the orders to learn from, only watched


def main() -> None:
    features = Path(os.environ["PLIMSOLL_INPUT_FEATURES"])
    checkpoints = Path(os.environ["PLIMSOLL_CHECKPOINT"])
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    about = json.loads((features / "about.json").read_text())
    x, y = load(features / "train.parquet", about["features"], "train")
    begin_validation = int(len(y) * (1 - VALIDATION))

    with xgb.collective.CommunicatorContext(
        dmlc_communicator="rabit",
        dmlc_tracker_uri=os.environ["DMLC_TRACKER_URI"],
        dmlc_tracker_port=int(os.environ["DMLC_TRACKER_PORT"]),
        dmlc_task_id=os.environ["DMLC_TASK_ID"],
        dmlc_timeout=30,
        dmlc_retry=3,
    ):
        rank, size = xgb.collective.get_rank(), xgb.collective.get_world_size()
        mine = np.arange(rank, begin_validation, size)
        watched = np.arange(begin_validation + rank, len(y), size)
        shard, validation = xgb.DMatrix(x[mine], y[mine]), xgb.DMatrix(x[watched], y[watched])
        print(f"worker {rank} of {size}: {len(mine)} of {begin_validation} rows", flush=True)
        booster = train(shard, validation, len(about["classes"]), checkpoints, rank)
        digest = hashlib.sha256(booster.save_raw("ubj")).hexdigest()
        print(f"worker {rank}: model {digest[:16]} after {booster.num_boosted_rounds()} rounds", flush=True)
        # Every worker must hold the same model, or it was not one that they trained.
        same = xgb.collective.broadcast(digest, 0)
        if same != digest:
            raise SystemExit(f"worker {rank} holds another model than worker 0: {digest} is not {same}")
        if rank == 0:
            report(booster, features, about, output, checkpoints)


def load(path: Path, names: list[str], part: str) -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(path).filter(pc.field("part") == part)
    matrix = np.column_stack([table[name].to_numpy() for name in names])
    return matrix, table["label"].to_numpy()


def train(shard: xgb.DMatrix, validation: xgb.DMatrix, classes: int, checkpoints: Path, rank: int) -> xgb.Booster:
    """Segments of rounds, each from the bytes that the one before left: a new start does exactly the same.

    Worker 0's checkpoints count, and the other workers may be on other machines: it tells them where to go on.
    """
    parameters = {
        "objective": "multi:softprob", "num_class": classes, "tree_method": "hist", "eta": 0.15, "max_depth": 6,
        "min_child_weight": 1, "colsample_bytree": 0.5, "base_score": 0.5, "seed": 7, "nthread": 1,
    }
    done = max((int(path.stem) for path in checkpoints.glob("*.ubj")), default=0)
    kept = (checkpoints / f"{done:05d}.ubj").read_bytes() if done and rank == 0 else b""
    done, kept = xgb.collective.broadcast((done, kept), 0)
    booster = None
    if done:
        print(f"worker {rank}: going on after round {done}", flush=True)
        booster = xgb.Booster(model_file=bytearray(kept))
    while done < ROUNDS:
        seen: dict = {}
        booster = xgb.train(
            {**parameters, "seed": 7 + done}, shard, min(SEGMENT, ROUNDS - done), xgb_model=booster,
            evals=[(shard, "train"), (validation, "validation")], evals_result=seen, verbose_eval=False,
        )
        done = min(done + SEGMENT, ROUNDS)
        if rank == 0:
            keep(booster, seen, done, checkpoints)
            print(f"[{done}] train {seen['train']['mlogloss'][-1]:.4f}, "
                  f"validation {seen['validation']['mlogloss'][-1]:.4f}", flush=True)
        # Nobody begins a segment that worker 0 has not kept the one before of.
        xgb.collective.broadcast(done, 0)
        booster = xgb.Booster(model_file=booster.save_raw("ubj"))
    return booster


def keep(booster: xgb.Booster, seen: dict, done: int, checkpoints: Path) -> None:
    """The model and its curve, under their names only when they are whole."""
    rounds = len(seen["train"]["mlogloss"])
    lines = [
        json.dumps({"step": done - rounds + place + 1, "train": train, "validation": validation})
        for place, (train, validation) in enumerate(
            zip(seen["train"]["mlogloss"], seen["validation"]["mlogloss"], strict=True)
        )
    ]
    curve = "\n".join(lines).encode()
    for name, content in ((f"{done:05d}.jsonl", curve), (f"{done:05d}.ubj", booster.save_raw("ubj"))):
        temporary = checkpoints / f".{name}"
        with temporary.open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        temporary.rename(checkpoints / name)


def report(booster: xgb.Booster, features: Path, about: dict, output: Path, checkpoints: Path) -> None:
    from sklearn.metrics import f1_score, log_loss

    x, y = load(features / "train.parquet", about["features"], "test")
    probabilities = booster.inplace_predict(x)
    predicted = probabilities.argmax(axis=1)
    export(booster, about, output / "model.onnx")
    metrics = {
        "accuracy": float((predicted == y).mean()),
        "macro_f1": float(f1_score(y, predicted, average="macro")),
        "log_loss": float(log_loss(y, probabilities, labels=range(len(about["classes"])))),
        "onnx_difference": difference(output / "model.onnx", x, probabilities),
        "rounds": booster.num_boosted_rounds(),
        "test_rows": len(y),
        **{f"baseline_{name}_accuracy": value for name, value in about["baselines"].items()},
    }
    (output / "metrics.json").write_text(json.dumps(metrics))
    with (output / "predictions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "prediction"])
        names = about["classes"]
        rows.writerows((names[truth], names[guess]) for truth, guess in zip(y, predicted, strict=True))
    curve = "\n".join(path.read_text() for path in sorted(checkpoints.glob("*.jsonl")))
    (output / "metrics.jsonl").write_text(curve + "\n")
    print(json.dumps(metrics), flush=True)


def export(booster: xgb.Booster, about: dict, path: Path) -> None:
    """The model as ONNX, with the names of its features and classes inside."""
    import onnx
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = onnxmltools.convert_xgboost(
        booster, initial_types=[("features", FloatTensorType([None, len(about["features"])]))], target_opset=15
    )
    onnx.helper.set_model_props(model, {name: json.dumps(about[name]) for name in ("features", "classes")})
    onnx.save(model, path)


def difference(path: Path, x: np.ndarray, probabilities: np.ndarray) -> float:
    """The largest difference between the exported model's probabilities and the trained one's, on 200 rows."""
    from onnx.reference import ReferenceEvaluator

    _, exported = ReferenceEvaluator(str(path)).run(None, {"features": x[:200]})
    return float(np.abs(np.asarray(exported) - probabilities[:200]).max())


if __name__ == "__main__":
    main()
