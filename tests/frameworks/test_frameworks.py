"""Real frameworks, two workers each, through the command as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPTS = Path(__file__).with_name("scripts")
REQUIREMENTS = {
    "xgboost": "xgboost-cpu==3.2.0\nnumpy==2.4.6\nscipy==1.17.1\n",
    "lightgbm": "lightgbm==4.7.0\nnumpy==2.4.6\nscipy==1.17.1\n",
    "jax": "jax==0.10.2\nnumpy==2.4.6\n",
    "tensorflow": "tensorflow-cpu==2.21.0\n",
    "ray": "ray==2.60.0\nnumpy==2.4.6\n",
}


def train(directory: Path, framework: str, script: str, python: str = "python", **environment: str) -> dict[str, Any]:
    shutil.copytree(SCRIPTS, directory, dirs_exist_ok=True)
    lines = ["apiVersion: plimsoll.dev/v1alpha1", "kind: Application", "metadata: {name: frameworks}", "spec:"]
    if framework in REQUIREMENTS:
        (directory / "requirements.txt").write_text(REQUIREMENTS[framework])
        lines += ["  environment: {requirements: requirements.txt}"]
    settings = f"run: {python} {script}, framework: {framework}, workers: 2, retries: 2, timeout: 300s"
    lines += ["  models:", f"    m: {{train: {{{settings}}}}}", ""]
    (directory / "plimsoll.yaml").write_text("\n".join(lines))
    told = subprocess.run(
        [sys.executable, "-m", "plimsoll", "run", "--json"],
        cwd=directory,
        env={**os.environ, "XDG_CONFIG_HOME": str(directory / "config"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    answer: dict[str, Any] = json.loads(told.stdout)
    assert answer.get("state") == "done", told.stdout + told.stderr
    return answer


def models_of_workers(directory: Path, attempt: int = 1) -> list[str]:
    logs = sorted(directory.glob(f".plimsoll/runs/*/logs/train/m/{attempt}-[01].log"))
    assert len(logs) == 2
    return [line for log in logs for line in log.read_text().splitlines() if line.startswith("model ")]


def assert_one_model(directory: Path, told: dict[str, Any], attempt: int = 1) -> None:
    """Both workers hold the same model, and it knows more than either one's share could teach it."""
    first, second = models_of_workers(directory, attempt)
    assert first == second
    metrics = told["models"]["m"]["metrics"]
    assert metrics["workers"] == 2
    assert metrics["accuracy"] > 0.9


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm", "jax"])
def test_two_workers_train_one_model_together(tmp_path: Path, framework: str) -> None:
    told = train(tmp_path, framework, f"{framework}_train.py")
    assert_one_model(tmp_path, told)


def test_two_torch_workers_train_one_model_together(tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    found = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True, check=False).returncode == 0
    if not found:
        pytest.skip("needs torch and numpy for /usr/bin/python3 (apt-get install python3-torch python3-numpy)")
    told = train(tmp_path, "torch", "torch_train.py", python)
    assert_one_model(tmp_path, told)


def test_a_killed_xgboost_worker_costs_only_the_rounds_since_the_last_checkpoint(tmp_path: Path) -> None:
    told = train(tmp_path, "xgboost", "xgboost_train.py", DIE_AT="15")
    assert told["steps"][1]["attempts"] == 2
    (log,) = tmp_path.glob(".plimsoll/runs/*/logs/train/m/2-0.log")
    assert "from round 15" in log.read_text()
    assert_one_model(tmp_path, told, attempt=2)
    calm = tmp_path / "calm"
    undisturbed = train(calm, "xgboost", "xgboost_train.py")
    assert undisturbed["models"]["m"]["metrics"] == told["models"]["m"]["metrics"]
    assert models_of_workers(calm) == models_of_workers(tmp_path, 2)


@pytest.mark.series
def test_tensorflow_reads_its_cluster_with_its_own_parser(tmp_path: Path) -> None:
    told = train(tmp_path, "tensorflow", "tensorflow_parse.py")
    first, second = models_of_workers(tmp_path)
    assert first == second
    assert told["models"]["m"]["metrics"]["workers"] == 2
    task = tmp_path / ".plimsoll/latest/train/m/task.txt"
    assert task.read_text() == "worker 0 of 2"


@pytest.mark.series
def test_ray_has_a_node_for_each_worker_and_a_killed_driver_starts_again_from_its_checkpoint(tmp_path: Path) -> None:
    told = train(tmp_path, "ray", "ray_train.py", DIE_AT="120")
    metrics = told["models"]["m"]["metrics"]
    assert (metrics["workers"], metrics["nodes"]) == (2, 2)
    assert metrics["accuracy"] > 0.9
    attempts = told["steps"][1]["attempts"]
    logs = [_log_of(tmp_path, attempt) for attempt in range(1, attempts + 1)]
    # On busy processors Ray may not start in its own time, which takes an attempt more.
    died, resumed = (log for log in logs if "timed out during startup" not in log)
    assert "from step" not in died
    assert "from step 100" in resumed
    assert not processes_of(tmp_path), "a node of Ray is left"


def _log_of(directory: Path, attempt: int) -> str:
    """What all workers of an attempt printed."""
    return "".join(log.read_text() for log in sorted(directory.glob(f".plimsoll/runs/*/logs/train/m/{attempt}-*.log")))


def processes_of(directory: Path) -> list[str]:
    """Those that were told of the directory in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(directory).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found
