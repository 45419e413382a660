"""What a sandbox costs a step: steps that do nothing at each level, and bubblewrap by itself, in alternating rounds."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.measuring import verdict
from plimsoll.application.isolation import Isolation, Level
from plimsoll.kinds.dataset import RunCommand
from plimsoll.planning.steps import Step
from plimsoll.runtime.isolation.bubblewrap import sandboxing
from plimsoll.targets.local.session import LocalSession

ROUNDS = 30
LIMITS: dict[Level, float] = {"process": 5.0, "strict": 100.0}
"""Milliseconds that a step of a level may take more than one without isolation."""
BARE = ("--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "true")


def main(_: list[str]) -> bool:
    """Print medians; false when a level costs more than its limit."""
    found = sandboxing()
    print(f"isolation: {ROUNDS} steps that do nothing at each level, alternating")
    if not found.program:
        sys.exit(f"{found.problem}; {found.remedy}")
    seen: dict[str, list[float]] = {"none": [], "process": [], "strict": [], "bubblewrap alone": []}
    with tempfile.TemporaryDirectory() as directory:
        session = LocalSession(Path(directory), "run-1")
        session.state.make()
        session.begin()
        levels: tuple[Level, ...] = ("none", "process", "strict")
        for number in range(ROUNDS + 1):
            for level in levels:
                seen[level].append(_step(session, level, number))
            began = time.perf_counter()
            subprocess.run([found.program, *BARE], check=True)
            seen["bubblewrap alone"].append(1000 * (time.perf_counter() - began))
        session.close()
    # The first of each level makes what the others use.
    medians = {name: median(each[1:]) for name, each in seen.items()}
    for name, each in medians.items():
        print(f"    {name:16} {each:6.1f} ms, the first {seen[name][0]:.1f} ms")
    more = {level: medians[level] - medians["none"] for level in LIMITS}
    kept = [verdict(f"a step of level {level}, more", more[level], most, "ms") for level, most in LIMITS.items()]
    return all(kept)


def _step(session: LocalSession, level: Level, number: int) -> float:
    work = RunCommand(command="true")
    step = Step(part="step", key=f"{level}-{number}", work=work, isolation=Isolation(level=level))
    began = time.perf_counter()
    end = list(session.start(step, 1))[-1]
    if end.fact["outcome"] != "done":
        sys.exit(f"a step of level {level} failed: {end.fact['reason']}")
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main([])
