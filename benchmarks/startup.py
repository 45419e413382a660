"""How long a user waits for `--help`: processor seconds of the whole process, beside peers' command lines."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import PLIMSOLL, median, peer, timed, verdict

LIMIT = 0.15
RUNS = 15
PEERS = {
    "Metaflow": (["metaflow==2.19.39"], ["-m", "metaflow.cmd.main_cli", "--help"]),
    "MLflow (skinny)": (["mlflow-skinny==3.17.2"], ["-m", "mlflow", "--help"]),
}


def main(_: list[str]) -> bool:
    """Print medians and ratios."""
    print("startup: plimsoll --help, processor time")
    with tempfile.TemporaryDirectory() as directory:
        timed([*PLIMSOLL, "--help"], Path(directory))
        ours = median([timed([*PLIMSOLL, "--help"], Path(directory)).cpu for _ in range(RUNS)])
        for name, (requirements, arguments) in PEERS.items():
            argv = [str(peer(requirements)), *arguments]
            timed(argv, Path(directory))
            theirs = median([timed(argv, Path(directory)).cpu for _ in range(5)])
            print(f"  {name}: {theirs:.2f} s, {theirs / ours:.1f} times ours")
    return verdict("plimsoll --help", ours, LIMIT, "s CPU")


if __name__ == "__main__":
    main([])
