"""What the engine itself costs: three steps beside Metaflow's, and a thousand beside the bare processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measuring import PLIMSOLL, median, peer, timed, verdict

RUNS = 5
LAYERS, WIDTH = 250, 4

STEP = """\
import os, pathlib, sys
before = [pathlib.Path(path).read_text() for name, path in os.environ.items() if name.startswith("PLIMSOLL_INPUT_")]
pathlib.Path(os.environ["PLIMSOLL_OUTPUT"], "value.txt").write_text("".join(before) + sys.argv[1])
"""
FLOW = """\
from metaflow import FlowSpec, step

class Three(FlowSpec):
    @step
    def start(self):
        self.value = "a"
        self.next(self.middle)

    @step
    def middle(self):
        self.value += "b"
        self.next(self.end)

    @step
    def end(self):
        self.value += "c"

if __name__ == "__main__":
    Three()
"""
HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: bench}\nspec:\n  datasets:\n"


def three_steps() -> str:
    """An application of three Python steps, each after the one before, by the interpreter that Metaflow's steps use."""
    lines = []
    for number, name in enumerate("abc"):
        inputs = f", inputs: [{'abc'[number - 1]}/value.txt]" if number else ""
        lines.append(f"    {name}: {{run: {sys.executable} step.py {name}{inputs}, outputs: [value.txt]}}\n")
    return HEAD + "".join(lines)


def fan() -> str:
    """A thousand steps: layers of four, each step after the whole layer before it."""
    lines = []
    for layer in range(LAYERS):
        inputs = ", ".join(f"s{layer - 1}-{column}" for column in range(WIDTH)) if layer else ""
        for column in range(WIDTH):
            run = "run: touch $PLIMSOLL_OUTPUT/x, outputs: [x], resources: {cpu: 0.5}"
            lines.append(f"    s{layer}-{column}: {{{run}{f', inputs: [{inputs}]' if inputs else ''}}}\n")
    return HEAD + "".join(lines)


def main(_: list[str]) -> bool:
    """Print figures, ratios and whether the limits are kept."""
    print("pipeline: three trivial steps from nothing")
    ours, theirs = [], []
    python = peer(["metaflow==2.19.39"])
    for _run in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "plimsoll.yaml").write_text(three_steps())
            (directory / "step.py").write_text(STEP)
            (directory / "flow.py").write_text(FLOW)
            ours.append(timed([*PLIMSOLL, "run"], directory).wall)
            environment = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": name, "METAFLOW_USER": "bench"}
            theirs.append(timed([str(python), "flow.py", "--quiet", "run"], directory, environment).wall)
    print(f"  Metaflow: {median(theirs):.2f} s, plimsoll: {median(ours):.3f} s")
    kept = [
        verdict("three steps", median(ours), 0.5, "s"),
        verdict("times faster than Metaflow", median(theirs) / median(ours), 5, "×", at_least=True),
    ]
    print(f"pipeline: {LAYERS * WIDTH} steps, {WIDTH} wide")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "plimsoll.yaml").write_text(fan())
        whole = timed([*PLIMSOLL, "run"], directory).wall
        bare = _bare(directory)
    print(f"  bare processes: {bare:.2f} s, plimsoll: {whole:.2f} s, {whole / bare:.1f} times")
    kept.append(verdict("engine overhead a step", (whole - bare) / (LAYERS * WIDTH) * 1000, 5, "ms"))
    return all(kept)


def _bare(directory: Path) -> float:
    """Seconds of the same processes, started four at a time with nothing around them."""
    environment = {**os.environ, "PLIMSOLL_OUTPUT": str(directory)}
    began = time.perf_counter()
    with ThreadPoolExecutor(WIDTH) as pool:
        for _layer in range(LAYERS):
            jobs = [
                pool.submit(subprocess.run, ["sh", "-c", "touch $PLIMSOLL_OUTPUT/x"], env=environment, check=True)
                for _column in range(WIDTH)
            ]
            for job in jobs:
                job.result()
    return time.perf_counter() - began


if __name__ == "__main__":
    main([])
