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

PAIRS = 3
ROUNDS = "250"
EXAMPLE = ROOT / "examples" / "maintenance"
TRACKER = ROOT / "src" / "plimsoll" / "runtime" / "rendezvous" / "xgboost_tracker.py"


def main(_: list[str]) -> bool:
    """Print the ratio of the medians of whole wall times."""
    print(f"training: {ROUNDS} rounds on two workers, {PAIRS} pairs")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        python, features = _prepared(directory)
        ours, theirs = [], []
        for pair in range(PAIRS):
            # The order changes from pair to pair, so that neither is always first.
            for turn in (0, 1) if pair % 2 else (1, 0):
                if turn:
                    ours.append(_through_plimsoll(directory / f"ours-{pair}", python, features))
                else:
                    theirs.append(_by_hand(directory / f"hand-{pair}", python, features))
            print(f"  pair {pair + 1}: by hand {theirs[-1]:.2f} s, plimsoll {ours[-1]:.2f} s", flush=True)
    slower = (median(ours) / median(theirs) - 1) * 100
    return verdict("slower than by hand", slower, 2, "%")


def _prepared(directory: Path) -> tuple[str, Path]:
    """The environment and the features, made by one run of the example."""
    import shutil

    copy = directory / "example"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".plimsoll", "__pycache__"))
    subprocess.run([*PLIMSOLL, "run"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    results = (copy / ".plimsoll" / "results").glob("*/result.json")
    python = next(found for path in results if (found := json.loads(path.read_text()).get("python")))
    return python, (copy / ".plimsoll" / "latest" / "run" / "features").resolve()


def _through_plimsoll(directory: Path, python: str, features: Path) -> float:
    directory.mkdir()
    (directory / "train.py").write_bytes((EXAMPLE / "train.py").read_bytes())
    (directory / "plimsoll.yaml").write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: bench}\nspec:\n"
        f"  datasets: {{features: {{source: {features}}}}}\n"
        f"  models: {{m: {{train: {{run: {python} train.py, inputs: [features], framework: xgboost, workers: 2}}}}}}\n"
    )
    environment = {**os.environ, "ROUNDS": ROUNDS}
    began = time.monotonic()
    subprocess.run([*PLIMSOLL, "run"], cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def _by_hand(directory: Path, python: str, features: Path) -> float:
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
            "ROUNDS": ROUNDS,
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
