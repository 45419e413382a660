"""Workers packed into a rack against workers spread over two, with a slow way between the racks.

Four nodes of the lab, two in each rack; every packet between racks waits `DELAY` each way. Four workers sum an array
together, again and again, as data-parallel training does with its gradients, by XGBoost's own collective.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kubernetes_runs import plimsoll, prepared_model
from benchmarks.measuring import ROOT, verdict
from lab import lifecycle, nodes
from lab.network import delay

NODES, DELAY, WORKERS, SUMS, LEAST = 4, 10, 4, 100, 30
FILE = """
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: racks-ARRANGEMENT}
spec:
  environment: {requirements: requirements.txt}
  datasets: {prepared: {source: prepared.onnx}}
  models:
    sums:
      train:
        run: python train.py
        inputs: [prepared]
        framework: xgboost
        workers: WORKERS
        topology: {ARRANGEMENT: rack}
        resources: {cpu: 0.4}
"""
TRAIN = """
import json, os, pathlib, shutil, time
import numpy as np
import xgboost as xgb

with xgb.collective.CommunicatorContext(
    dmlc_communicator="rabit", dmlc_tracker_uri=os.environ["DMLC_TRACKER_URI"],
    dmlc_tracker_port=int(os.environ["DMLC_TRACKER_PORT"]), dmlc_task_id=os.environ["DMLC_TASK_ID"],
):
    size, rank = xgb.collective.get_world_size(), xgb.collective.get_rank()
    ones = np.ones(16_384, dtype=np.float32)
    began = time.perf_counter()
    for _ in range(SUMS):
        total = xgb.collective.allreduce(ones, xgb.collective.Op.SUM)
    seconds = time.perf_counter() - began
    assert (total == size).all(), total
    assert rank == int(os.environ["DMLC_TASK_ID"]), "worker 0 is rank 0"

if rank == 0:
    output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
    shutil.copy(os.environ["PLIMSOLL_INPUT_PREPARED"], output / "model.onnx")
    (output / "metrics.json").write_text(json.dumps({"communication": seconds, "workers": size}))
"""


def measure(directory: Path, addons: Sequence[str]) -> bool:
    """Print both times of communication and what packing saves."""
    lifecycle.up(NODES, 0, addons, lambda _: None)
    racks: dict[str, list[str]] = {}
    for each in nodes.all_nodes():
        racks.setdefault(each.rack, []).append(each.name)
    print(f"  {DELAY} ms each way between {' and '.join(', '.join(names) for names in racks.values())}")
    slowed, *others = ([nodes.named(name) for name in names] for names in racks.values())
    beyond = [node for rack in others for node in rack]
    try:
        for node in slowed:
            delay.set_delay(node, DELAY, beyond)
        took = {arrangement: _communication(directory / arrangement, arrangement) for arrangement in ("spread", "pack")}
    finally:
        for node in slowed:
            delay.set_delay(node, 0)
    print(f"  {SUMS} sums of 64 KiB by {WORKERS} workers: spread {took['spread']:.2f} s, packed {took['pack']:.2f} s")
    saved = 100 * (1 - took["pack"] / took["spread"])
    return verdict("of the time of communication saved by packing", saved, LEAST, "%", at_least=True)


def _communication(place: Path, arrangement: str) -> float:
    place.mkdir(parents=True)
    (place / "plimsoll.yaml").write_text(FILE.replace("ARRANGEMENT", arrangement).replace("WORKERS", str(WORKERS)))
    (place / "train.py").write_text(TRAIN.replace("SUMS", str(SUMS)))
    prepared_model(place / "prepared.onnx")
    shutil.copy(ROOT / "examples" / "maintenance" / "requirements.txt", place)
    printed = plimsoll(place, "run", "--target", "lab", "--json")
    metrics = json.loads(printed)["models"]["sums"]["metrics"]
    assert metrics["workers"] == WORKERS, metrics
    plimsoll(place, "down", "--target", "lab")
    return float(metrics["communication"])
