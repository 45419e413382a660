"""A small application with every kind of part, run on the lab: data, two workers, a model, a service, a batch."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from lab.errors import LabError
from lab.kubectl import kubectl
from tests.runtime.conftest import linear_model

Plimsoll = Callable[..., subprocess.CompletedProcess[str]]
FILE = """
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: NAME}
spec:
  datasets:
    numbers: {source: numbers.csv}
    prepared: {source: prepared.onnx}
    table: {source: table.parquet}
    features: {run: python prepare.py, inputs: [numbers], outputs: [live.csv]}
  models:
    toy:
      train: {run: python train.py, inputs: [features, prepared], workers: 2, retries: 2, resources: {cpu: 0.5}}
      accept: {rows: "> 0"}
  services:
    toy: {model: toy, resources: {cpu: 0.5}}
  batches:
    backlog: {model: toy, input: features/live.csv, resources: {cpu: 0.5}}
    columns: {model: toy, input: table, resources: {cpu: 0.5}}
"""
PREPARE = """
import os, pathlib
rows = pathlib.Path(os.environ["PLIMSOLL_INPUT_NUMBERS"]).read_text().splitlines()
pathlib.Path(os.environ["PLIMSOLL_OUTPUT"], "live.csv").write_text("left,right\\n" + "\\n".join(rows) + "\\n")
"""
TRAIN = """
import json, os, pathlib, shutil, time
rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
output, kept = (pathlib.Path(os.environ[f"PLIMSOLL_{name}"]) for name in ("OUTPUT", "CHECKPOINT"))
rows = pathlib.Path(os.environ["PLIMSOLL_INPUT_FEATURES"], "live.csv").read_text().splitlines()[1:]
done = len(list(kept.glob("*.step")))
print(f"worker {rank} of {size}: from step {done}", flush=True)
for step in range(done, STEPS):
    time.sleep(0.5)
    print(f"worker {rank}: step {step}", flush=True)
    if rank == 0:
        (kept / f".{step}").write_text("x")
        (kept / f".{step}").rename(kept / f"{step}.step")
shutil.copy(os.environ["PLIMSOLL_INPUT_PREPARED"], output / "model.onnx")
(output / "metrics.json").write_text(json.dumps({"rows": len(rows), "resumed_from": done}))
"""
ROWS = 40


class Application:
    """The application, with its own directory and its own name."""

    def __init__(self, directory: Path, steps: int = 2) -> None:
        self.directory = directory
        self.name = f"app-{secrets.token_hex(3)}"
        (directory / "plimsoll.yaml").write_text(FILE.replace("NAME", self.name))
        (directory / "prepare.py").write_text(PREPARE)
        (directory / "train.py").write_text(TRAIN.replace("STEPS", str(steps)))
        (directory / "numbers.csv").write_text("".join(f"{row},{row % 7}\n" for row in range(ROWS)))
        linear_model(directory / "prepared.onnx")
        columns = {"left": list(map(float, range(ROWS))), "right": [float(row % 7) for row in range(ROWS)]}
        pyarrow.parquet.write_table(pyarrow.table(columns), directory / "table.parquet")
        self.environment = {
            **os.environ,
            "XDG_CONFIG_HOME": str(directory / ".config"),
            "COLUMNS": "120",
            "PYTHONFAULTHANDLER": "1",
        }

    def start(self, *arguments: str, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "plimsoll", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def plimsoll(self, *arguments: str, limit: float = 500) -> subprocess.CompletedProcess[str]:
        running = self.start(*arguments, stderr=subprocess.PIPE)
        try:
            printed, told = running.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            # Python's fault handler then prints the stack of each thread.
            running.send_signal(signal.SIGABRT)
            printed, told = running.communicate(timeout=60)
            wanted = f"plimsoll {' '.join(arguments)} was not done within {limit:g} s"
            pytest.fail("\n".join([wanted, printed, told, self.standing()]), pytrace=False)
        done = subprocess.CompletedProcess(running.args, running.returncode, printed, told)
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def change(self, old: str, new: str, file: str = "plimsoll.yaml") -> None:
        path = self.directory / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def left(self) -> list[str]:
        """The names of the application's objects in the cluster."""
        selector = f"-lplimsoll.dev/application={self.name}"
        kinds = "pods,jobs,jobsets,deployments,services,configmaps,networkpolicies,httproutes,gateways,namespaces"
        return kubectl("get", kinds, "--all-namespaces", selector, "--output=name").split()

    def standing(self) -> str:
        """The state of the application's objects in the cluster, for the message of a failure."""
        kinds = "pods,jobs,jobsets,workloads,deployments,events"
        try:
            return kubectl("get", kinds, f"-n{self.name}", "--output=wide")
        except LabError as error:
            return str(error)

    def pods(self, step: str) -> list[str]:
        selector = f"-lplimsoll.dev/step={step}"
        return kubectl("get", "pods", f"-n{self.name}", selector, "--output=name").split()

    def predictions(self, target: str) -> list[dict[str, object]]:
        options = ("--input", "live.csv", "--target", target, "--json")
        (self.directory / "live.csv").write_text("left,right\n" + (self.directory / "numbers.csv").read_text())
        asked = self.plimsoll("predict", "toy", *options)
        assert asked.returncode == 0, asked.stderr
        found: list[dict[str, object]] = json.loads(asked.stdout)["predictions"]
        return found


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made = Application(tmp_path)
    yield made
    kubectl("delete", "namespace", made.name, "--ignore-not-found", "--wait=false")
