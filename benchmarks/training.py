"""What running training through plimsoll costs: the same two workers started by hand, in pairs, in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import PLIMSOLL, ROOT, median, verdict

SHORT = (5, 10)
LONG = (3, 250)
"""Pairs, and rounds of training: the short ones show what is constant, the long ones what it comes to."""
EXAMPLE = ROOT / "examples" / "maintenance"
TRACKER = ROOT / "src" / "plimsoll" / "runtime" / "rendezvous" / "xgboost_tracker.py"


def main(_: list[str]) -> bool:
    """Print what we add to a short training in seconds, and to a long one in per cent of the medians."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        prepared = _prepared(directory)
        theirs, ours = _pairs(directory, *SHORT, *prepared)
        print(f"  what plimsoll adds to a short training: {median(ours) - median(theirs):.2f} s", flush=True)
        theirs, ours = _pairs(directory, *LONG, *prepared)
    return verdict("slower than by hand", (median(ours) / median(theirs) - 1) * 100, 2, "%")


def _pairs(directory: Path, pairs: int, rounds: int, python: str, features: Path) -> tuple[list[float], list[float]]:
    """Wall seconds by hand and through plimsoll; the order changes from pair to pair."""
    print(f"training: {rounds} rounds on two workers, {pairs} pairs", flush=True)
    theirs: list[float] = []
    ours: list[float] = []
    for pair in range(pairs):
        for through_plimsoll in (False, True) if pair % 2 else (True, False):
            run, seconds = (_through_plimsoll, ours) if through_plimsoll else (_by_hand, theirs)
            seconds.append(run(directory / f"{run.__name__}-{rounds}-{pair}", python, features, str(rounds)))
        print(f"  pair {pair + 1}: by hand {theirs[-1]:.2f} s, plimsoll {ours[-1]:.2f} s", flush=True)
    return theirs, ours


def _prepared(directory: Path) -> tuple[str, Path]:
    """The environment and the features, made by one run of the example."""
    import shutil

    copy = directory / "example"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".plimsoll", "__pycache__"))
    subprocess.run([*PLIMSOLL, "run"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    results = (copy / ".plimsoll" / "results").glob("*/result.json")
    python = next(found for path in results if (found := json.loads(path.read_text()).get("python")))
    return python, (copy / ".plimsoll" / "latest" / "run" / "features").resolve()


def _through_plimsoll(directory: Path, python: str, features: Path, rounds: str) -> float:
    directory.mkdir()
    (directory / "train.py").write_bytes((EXAMPLE / "train.py").read_bytes())
    (directory / "plimsoll.yaml").write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: bench}\nspec:\n"
        f"  datasets: {{features: {{source: {features}}}}}\n"
        f"  models: {{m: {{train: {{run: {python} train.py, inputs: [features], framework: xgboost, workers: 2}}}}}}\n"
    )
    environment = {**os.environ, "ROUNDS": rounds}
    began = time.monotonic()
    subprocess.run([*PLIMSOLL, "run"], cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def _by_hand(directory: Path, python: str, features: Path, rounds: str) -> float:
    directory.mkdir()
    ready = directory / "ready.json"
    began = time.monotonic()
    arguments = ["--workers", "2", "--host", "127.0.0.1", "--ready-file", str(ready), "--timeout", "60"]
    tracker = subprocess.Popen([python, str(TRACKER), *arguments])
    while not ready.exists():
        time.sleep(0.005)
    address = json.loads(ready.read_text())
    workers = []
    for rank in range(2):
        output = directory / f"output-{rank}"
        output.mkdir()
        (directory / "checkpoint").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "ROUNDS": rounds,
            "OMP_NUM_THREADS": "1",
            "PLIMSOLL_INPUT_FEATURES": str(features),
            "PLIMSOLL_OUTPUT": str(output),
            "PLIMSOLL_CHECKPOINT": str(directory / "checkpoint"),
            "DMLC_TRACKER_URI": address["host"],
            "DMLC_TRACKER_PORT": str(address["port"]),
            "DMLC_TASK_ID": str(rank),
        }
        with (directory / f"{rank}.log").open("wb") as log:
            argv = [python, str(EXAMPLE / "train.py")]
            workers.append(subprocess.Popen(argv, cwd=directory, env=environment, stdout=log, stderr=log))
    if any(worker.wait() for worker in workers):
        sys.exit(f"training by hand failed, see {directory}")
    tracker.wait()
    return time.monotonic() - began


if __name__ == "__main__":
    main([])
