"""The small application that figures of Kubernetes are measured with, and how plimsoll is run for them."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measuring import PLIMSOLL, ROOT
from lab.kubectl import get

TOY = """
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: toy}
spec:
  datasets: {prepared: {source: prepared.onnx}}
  models:
    toy: {train: {run: python train.py, inputs: [prepared], workers: 2, retries: 10, resources: {cpu: 0.5}}}
  services:
    toy: {model: toy, resources: {cpu: 0.3}, scale: {min: 2, max: 2}, latency: {p99: 100ms}}
"""
TRAIN = """
import os, pathlib, shutil, time
kept, rank = pathlib.Path(os.environ["PLIMSOLL_CHECKPOINT"]), int(os.environ["RANK"])
for step in range(len(list(kept.glob("*.step"))), SECONDS):
    time.sleep(1)
    if rank == 0:
        (kept / f"{step}.step").write_text("x")
shutil.copy(os.environ["PLIMSOLL_INPUT_PREPARED"], os.environ["PLIMSOLL_OUTPUT"] + "/model.onnx")
"""


def toy(directory: Path, seconds: int) -> Path:
    """The small application, training for so many seconds."""
    directory.mkdir(parents=True)
    (directory / "plimsoll.yaml").write_text(TOY)
    # Results are kept by content: what has been trained in an earlier measurement would not be trained again.
    script = f"{TRAIN.replace('SECONDS', str(seconds))}# {secrets.token_hex(8)}\n"
    (directory / "train.py").write_text(script)
    prepared_model(directory / "prepared.onnx")
    return directory


def prepared_model(path: Path) -> None:
    """A model that a script of training only has to hand on."""
    sys.path.insert(0, str(ROOT))
    from tests.runtime.conftest import linear_model

    linear_model(path)


def plimsoll(directory: Path, *arguments: str, fine: bool = True) -> str:
    """Run a verb to its end; gives what it printed."""
    done = subprocess.run([*PLIMSOLL, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    if fine and done.returncode != 0:
        sys.exit(f"plimsoll {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def steps_of(printed: str) -> dict[str, Any]:
    """Steps of a run that was printed as JSON, by name."""
    return {each["name"]: each for each in json.loads(printed)["steps"]}


def pods() -> dict[str, str]:
    """Phases of the small application's pods of training, by name."""
    return {
        each["metadata"]["name"]: each["status"].get("phase", "")
        for each in get("pods", namespace="toy")
        if each["metadata"]["labels"].get("plimsoll.dev/step") == "train.toy"
    }
