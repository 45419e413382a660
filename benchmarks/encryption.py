"""What encryption at rest costs: sealing and opening by the second, and runs with it beside the same runs without."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.measuring import verdict
from plimsoll.vault.stream import open_stream, seal_stream

MEGABYTES = 256
LEAST = 200.0
"""MB that are sealed, and that are opened, in a second of one processor."""
MOST = 3.0
"""Seconds that a run with as many MB of results takes more."""
PREPARE = f"""\
import os, pathlib
block = os.urandom(1 << 20)
with (pathlib.Path(os.environ["PLIMSOLL_OUTPUT"]) / "rows.bin").open("wb") as file:
    for _ in range({MEGABYTES}):
        file.write(block)
"""
SPEC = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: sealed}
spec:
  %s
  datasets:
    rows: {run: python prepare.py, outputs: [rows.bin]}
"""


def measure(rounds: int) -> bool:
    """Measure the cipher in memory, and whole runs in alternating rounds."""
    print(f"trust: encryption at rest, {MEGABYTES} MB, {rounds} alternating rounds")
    sealing, opening = _cipher()
    good = [
        verdict("sealed by a second of a processor", sealing, LEAST, "MB/s", at_least=True),
        verdict("opened by a second of a processor", opening, LEAST, "MB/s", at_least=True),
    ]
    with tempfile.TemporaryDirectory() as name:
        times = _runs(Path(name), rounds)
    for what, index in (("a run that makes them", 0), ("a run that finds them unchanged", 1)):
        plain, sealed = (median(pair[index] for pair in times[way]) for way in ("plain", "sealed"))
        print(f"    {what}: {plain:.2f} s in clear, {sealed:.2f} s encrypted")
        good.append(verdict(f"{what} takes more", sealed - plain, MOST, "s"))
    return all(good)


def _cipher() -> tuple[float, float]:
    key, plain, sealed = os.urandom(32), io.BytesIO(os.urandom(1 << 20) * MEGABYTES), io.BytesIO()
    began = time.process_time()
    seal_stream(plain, sealed, key, b"a")
    between = time.process_time()
    sealed.seek(0)
    for _ in open_stream(sealed, key, b"a", "a"):
        pass
    ended = time.process_time()
    return MEGABYTES / (between - began), MEGABYTES / (ended - between)


def _runs(directory: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    key = directory / "the.key"
    key.write_text(os.urandom(32).hex())
    key.chmod(0o600)
    times: dict[str, list[tuple[float, float]]] = {"plain": [], "sealed": []}
    for number in range(rounds):
        for way, word in (("plain", ""), ("sealed", "encryption: {key: {file: ../the.key}}")):
            place = directory / f"{way}-{number}"
            place.mkdir()
            (place / "plimsoll.yaml").write_text(SPEC % word)
            (place / "prepare.py").write_text(PREPARE)
            times[way].append((_seconds(place), _seconds(place)))
            subprocess.run(["rm", "-rf", place], check=True)
    return times


def _seconds(place: Path) -> float:
    """Seconds of a run until it ends, which it does when everything is sealed."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "plimsoll", "run"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began
