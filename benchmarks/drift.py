"""Drift: how long a comparison takes beside Evidently, what of a set of shifts is found, and how soon.

`python -m benchmarks drift`; the set is in `drift_data.py`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.drift_data import SYNTHETIC, Change, Columns, drawn, orders, table
from benchmarks.drift_live import seconds_to_alert
from benchmarks.measuring import ROOT, median, peer, verdict
from plimsoll.telemetry.drift.features import build_side
from plimsoll.telemetry.drift.judging import judge_window
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.monitor import DriftMonitor
from plimsoll.telemetry.drift.reference import SideReference
from plimsoll.telemetry.drift.window import window_of_table

ROWS = 200_000
TURNS = 2
EVIDENTLY = ("evidently==0.7.23", "pandas<3", "pyarrow")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LEARNT = 20_000
"""Rows of the reference in the streams."""
CHUNK = 5
"""Seconds of rows at once: a shift begins in the middle of a window of ten."""
A_SECOND = 100
REPEATS = 5
QUIET = 500
"""Windows without a shift."""
ORDER_ROWS = 300
"""Work orders in a window."""


def main(_: list[str]) -> bool:
    """Print the ratio, the shares and the times; true when all limits are kept."""
    kept = [_beside_evidently(), _synthetic(), _false_alarms(), _work_orders(), _live()]
    return all(kept)


def _beside_evidently() -> bool:
    print(f"drift: {ROWS} rows × 20 columns against a reference of as many, processor time in all", flush=True)
    random = np.random.default_rng(1)
    old, new = table(random, ROWS), table(random, ROWS)
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, "old.parquet"), Path(name, "new.parquet")]
        for path, columns in zip(paths, (old, new), strict=True):
            _write(path, columns)
        argv = [str(peer(EVIDENTLY)), str(ROOT / "benchmarks" / "drift_peer.py"), *map(str, paths), str(TURNS)]
        theirs = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    in_all, kept = [], []
    for _ in range(TURNS):
        began = time.process_time()
        reference = build_side(old, "input")
        built = time.process_time()
        judge_window(reference, window_of_table(reference, new, BEGIN), 0.01, DriftLimits())
        in_all.append(time.process_time() - began)
        kept.append(time.process_time() - built)
    for method, seconds in theirs.items():
        print(f"  Evidently 0.7.23, {method}: {median(seconds):.2f} s", flush=True)
    print(f"  ours: {median(in_all):.2f} s, {median(kept):.2f} s with the reference kept", flush=True)
    quickest = min(median(seconds) for seconds in theirs.values())
    return verdict("faster than Evidently's quicker way", quickest / median(in_all), 10, "times", at_least=True)


def _write(path: Path, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), path)


def _synthetic() -> bool:
    print(f"drift: {len(SYNTHETIC)} synthetic shifts × {REPEATS}, {A_SECOND} rows a second", flush=True)
    reference = build_side(table(np.random.default_rng(2), LEARNT), "input")
    delays: list[float | None] = []
    for number, (name, change) in enumerate(SYNTHETIC.items()):
        found = [_delay(reference, change, seed=100 * number + turn) for turn in range(REPEATS)]
        delays += found
        told = ", ".join("not found" if delay is None else f"{delay:.0f}" for delay in found)
        print(f"  {name}: {told} s", flush=True)
    within = [delay for delay in delays if delay is not None and delay <= 60]
    share = 100 * len(within) / len(delays)
    return verdict("synthetic shifts found within 60 s", share, 98, "%", at_least=True)


def _delay(reference: SideReference, change: Change, seed: int) -> float | None:
    """Seconds from a shift to the first alarm, in a stream that was quiet for over a minute; `None` for 120 or more."""
    random = np.random.default_rng(seed)
    monitor = DriftMonitor(reference, BEGIN)
    begin = 65
    for second in range(0, begin + 120, CHUNK):
        columns = table(random, CHUNK * A_SECOND)
        if second >= begin:
            columns |= change(random, columns)
        monitor.add(columns)
        changes = monitor.tick(BEGIN + timedelta(seconds=second + CHUNK))
        if any(one.raised for one in changes):
            # An alarm before the shift is a false one, and finds nothing.
            return second + CHUNK - begin if second >= begin else None
    return None


def _false_alarms() -> bool:
    print(f"drift: {QUIET} windows of {10 * A_SECOND} rows without a shift", flush=True)
    reference = build_side(table(np.random.default_rng(3), LEARNT), "input")
    random = np.random.default_rng(4)
    monitor = DriftMonitor(reference, BEGIN)
    alarms = at_one_per_cent = 0
    for number in range(QUIET):
        columns = table(random, 10 * A_SECOND)
        monitor.add(columns)
        alarms += any(one.raised for one in monitor.tick(BEGIN + timedelta(seconds=10 * (number + 1))))
        found = judge_window(reference, window_of_table(reference, columns, BEGIN), 0.01, DriftLimits())
        at_one_per_cent += any(one.alarm for one in found)
    print(f"  a window judged alone at the level of 1 %: {100 * at_one_per_cent / QUIET:.2f} %", flush=True)
    kept = verdict("windows of a stream that alarm, over all columns", 100 * alarms / QUIET, 1, "%")
    return verdict("windows judged alone that alarm", 100 * at_one_per_cent / QUIET, 1, "%") and kept


def _work_orders() -> bool:
    print(f"drift: work orders, windows of {ORDER_ROWS}", flush=True)
    random = np.random.default_rng(5)
    early, late = orders("2003-01-01", "2006-01-01"), orders("2009-01-01", "2012-01-01")
    reference = build_side(early, "input")
    level = DriftLimits().window_level(10, 4)
    found, words = 0, ""
    for columns in _windows(random, late, 50):
        alarms = [
            one
            for one in judge_window(reference, window_of_table(reference, columns, BEGIN), level, DriftLimits())
            if one.alarm
        ]
        found += bool(alarms)
        words = words or "; ".join(f"{one.feature}: {one.statistic} {one.value:.2f}, {one.direction}" for one in alarms)
    print(f"  2009–2011 against 2003–2005: {words[:400]}", flush=True)
    shares = [100 * found / 50]
    false = judged = 0
    for years in (("2003-01-01", "2006-01-01"), ("2009-01-01", "2012-01-01")):
        whole_of = orders(*years)
        for _ in range(10):
            # One half teaches, windows come from the other: the same years, no row in both.
            mixed = drawn(random, whole_of, len(whole_of["text"]))
            half = len(mixed["text"]) // 2
            same = build_side({name: column[:half] for name, column in mixed.items()}, "input")
            rest = {name: column[half:] for name, column in mixed.items()}
            for columns in _windows(random, rest, 10):
                judged += 1
                seen = judge_window(same, window_of_table(same, columns, BEGIN), 0.01, DriftLimits())
                false += any(one.alarm for one in seen)
    kept = verdict("windows of 2009–2011 that are found", shares[0], 98, "%", at_least=True)
    return verdict(f"of {judged} windows of the same years that alarm", 100 * false / judged, 1, "%") and kept


def _windows(random: np.random.Generator, columns: Columns, number: int) -> Iterator[Columns]:
    return (drawn(random, columns, ORDER_ROWS) for _ in range(number))


def _live() -> bool:
    print(f"drift: a live service, {A_SECOND} requests a second", flush=True)
    seconds = seconds_to_alert(A_SECOND)
    return verdict("seconds from the shift to the alert", seconds, 60, "s")
