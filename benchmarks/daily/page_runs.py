"""Journals of many runs with many figures, as runs leave them: bytes are put together, not encoded one by one."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from plimsoll.evidence.observation import Observation
from plimsoll.state.directory import StateDirectory

START = datetime(2026, 1, 1, tzinfo=UTC)
VARIANTS = 32
"""Sets of values that the runs take in turn."""


def figure_names(count: int) -> list[str]:
    """Names of as many figures."""
    return [f"m{number:05d}" for number in range(count)]


def run_id(number: int) -> str:
    """The id of a run, by the time of its start."""
    return f"{START + timedelta(minutes=number):%Y%m%d-%H%M%S}-{number:06d}"


def line(place: int, subject: str, event: str, **values: object) -> bytes:
    """One line of a journal; `place` is the number of the run."""
    at = START + timedelta(minutes=place)
    fact = {"event": event, **values}
    return msgspec.json.encode(Observation(at=at, source="engine", subject=subject, fact=fact)) + b"\n"


def beginning(number: int) -> bytes:
    """What a run's journal begins with."""
    steps = [{"name": "train/triage", "key": f"k{number}"}]
    told = {"run": run_id(number), "application": "bench", "target": "local", "number": number, "steps": steps}
    planned = line(number, "run", "run-planned", parameters={"lr": number % 97 / 100}, **told)
    return planned + line(number, "train/triage", "step-started", key=f"k{number}")


def write_runs(directory: Path, runs: int, figures: int) -> int:
    """Write the journals; returns how many bytes they are."""
    state, drawn, size = StateDirectory(directory), random.Random(0), 0
    state.make()
    names = figure_names(figures)
    results = [
        msgspec.json.encode({"metrics": {name: round(drawn.random(), 4) for name in names}}) for _ in range(VARIANTS)
    ]
    for number in range(1, runs + 1):
        result = results[number % VARIANTS]
        mark = b'"result":null'
        attempt = line(number, "train/triage", "attempt-ended", attempt=1, outcome="done", result=None)
        ended = line(number, "train/triage", "step-ended", state="done", result=None)
        content = beginning(number) + b"".join(each.replace(mark, b'"result":' + result) for each in (attempt, ended))
        content += line(number, "run", "run-ended", state="done")
        path = state.journal(run_id(number))
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        size += len(content)
    return size


def write_curves(state: StateDirectory, number: int, steps: int, figures: int) -> int:
    """Write the points of a run's training, each figure at each step; returns how many bytes they are."""
    path = state.curve_files(f"k{number}")[1]
    path.parent.mkdir(parents=True)
    figures_of_a_step = msgspec.json.encode({name: place / 7 for place, name in enumerate(figure_names(figures))})[1:]
    with path.open("wb") as file:
        file.writelines(b'{"step": %d, ' % step + figures_of_a_step + b"\n" for step in range(steps))
    return path.stat().st_size


def fill_mlflow(database: Path, runs: int, figures: int) -> None:
    """Put runs with the same figures into a database that MLflow has made, by its own tables."""
    drawn, names = random.Random(0), figure_names(figures)
    with sqlite3.connect(database) as store:
        for number in range(1, runs + 1):
            run = f"{number:032x}"
            at = int((START + timedelta(minutes=number)).timestamp() * 1000)
            store.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
                "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
                "VALUES (?, ?, 'LOCAL', '', '', 'bench', 'FINISHED', ?, ?, '', 'active', '', 0)",
                (run, f"run {number}", at, at + 1000),
            )
            values = [(name, drawn.random(), at, run) for name in names]
            store.executemany(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)", values
            )
            store.executemany(
                "INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
                values,
            )
