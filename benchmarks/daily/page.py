"""The live page with ten thousand runs of twelve thousand figures each, beside MLflow's page on some of these runs.

It needs 5 GB of disk for the journals and their index. MLflow has a row for each figure, in two tables, so that it gets
fewer of the runs: what it takes for them is what it would take at least for all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.daily.page_runs import beginning, figure_names, fill_mlflow, line, run_id, write_curves, write_runs
from benchmarks.measuring import PLIMSOLL, median, peer, users_environment, verdict
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock
from plimsoll.ui.web import STATIC
from tests.browser import Tab, chromium

FIRST_ROWS, EVENT, RESOURCES = 0.2, 0.5, 500.0
MLFLOW = "mlflow==3.17.2"
LOADS, EVENTS, LINES, STEPS = 9, 15, 1_000_000, 2_000
PATIENCE = 900.0
"""Seconds until all journals are read, or a peer has started."""
# The page's own clock: from the beginning of the load to the first paint that has the row.
SEEN = """new Promise((seen) => {
  const look = () => (%s) ? seen(performance.now()) : requestAnimationFrame(look);
  look();
})"""
ROW = "document.querySelector('tr[data-run]')"


def main(options: Sequence[str] = ()) -> bool:
    """Measure and print; true when each figure keeps its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.daily.page")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--figures", type=int, default=12_000)
    parser.add_argument("--mlflow-runs", type=int, default=100, help="0 leaves MLflow out")
    chosen = parser.parse_args(list(options))
    with tempfile.TemporaryDirectory(prefix="plimsoll-page-") as name, chromium() as tab:
        kept = _of_plimsoll(Path(name), tab, chosen.runs, chosen.figures)
        if chosen.mlflow_runs:
            _of_mlflow(Path(name), tab, chosen.mlflow_runs, chosen.figures)
    return kept


def _of_plimsoll(directory: Path, tab: Tab, runs: int, figures: int) -> bool:
    size = write_runs(directory, runs, figures)
    print(f"  {runs:,} runs of {figures:,} figures: {size / 1e9:.2f} GB of journals", flush=True)
    with _server(directory) as (url, process):
        first = _load(tab, url)
        print(f"  first rows while nothing has been read yet: {first:.2f} s", flush=True)
        began = time.monotonic()
        _until_read(tab)
        print(f"  all journals read, once: {time.monotonic() - began:.0f} s; {_memory(process.pid):.0f} MB", flush=True)
    kept = verdict("resources of the page", sum(p.stat().st_size for p in STATIC.iterdir()) / 1e3, RESOURCES, "kB")
    with _server(directory) as (url, process):
        loads = [_load(tab, url) for _ in range(LOADS)]
        kept &= verdict(f"first rows, median of {LOADS} loads", median(loads), FIRST_ROWS, "s")
        print(f"  sorted by one of {figures:,} figures: {_sorted(tab):.2f} s", flush=True)
        delays = _events(directory, tab, runs + 1)
        kept &= verdict(f"an event of the journal on the page, largest of {EVENTS}", max(delays), EVENT, "s")
        print(f"  its median {median(delays):.2f} s; memory {_memory(process.pid):.0f} MB", flush=True)
        end, found = _log(directory, tab, runs)
        print(f"  a log of {LINES:,} lines: its end {end:.2f} s, a text in its last line {found:.2f} s", flush=True)
        size = write_curves(StateDirectory(directory), runs - 1, STEPS, figures)
        charts, searched = _curves(tab, runs - 1, figures)
        print(f"  a curve file of {STEPS:,} steps and {figures:,} figures, {size / 1e9:.2f} GB:", flush=True)
        print(f"    first charts {charts:.2f} s, one figure found {searched:.2f} s", flush=True)
        print(f"    {_memory(process.pid):.0f} MB of memory", flush=True)
    return kept


@contextlib.contextmanager
def _server(directory: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    argv = [*PLIMSOLL, "ui", str(directory), "--json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=users_environment())
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"]), process
    finally:
        process.terminate()
        process.wait(60)


def _load(tab: Tab, url: str, row: str = ROW) -> float:
    """Seconds from the beginning of a load to the first paint with a row."""
    tab.open("about:blank")
    tab.wait_for("location.href === 'about:blank'")
    tab.open(url)
    tab.wait_for("location.href !== 'about:blank' && document.body !== null")
    return float(tab.run(SEEN % row)) / 1000


def _until_read(tab: Tab) -> None:
    until = time.monotonic() + PATIENCE
    while "journals are still to be read" in tab.text():
        if time.monotonic() > until:
            sys.exit(f"the journals were not read within {PATIENCE:g} s")
        time.sleep(0.5)


def _sorted(tab: Tab) -> float:
    """Seconds from a click to the rows in the order of a figure."""
    tab.run("location.hash = document.querySelector('nav a').hash + '?column=triage m06000'")
    heading = "[...document.querySelectorAll('th button')].find((each) => each.textContent.startsWith('triage m06000'))"
    tab.wait_for(heading)
    began = time.perf_counter()
    tab.run(f"{heading}.click()")
    tab.wait_for("document.querySelector('th[aria-sort] button').textContent.startsWith('triage m06000')")
    return time.perf_counter() - began


def _events(directory: Path, tab: Tab, number: int) -> list[float]:
    """Seconds from the writing of an event to the paint that shows it."""
    state, delays = StateDirectory(directory), []
    lock = RunLock(state.lock)
    lock.acquire(run_id(number), "bench")
    path = state.journal(run_id(number))
    path.parent.mkdir(parents=True)
    path.write_bytes(beginning(number))
    try:
        tab.run(f"location.hash = document.querySelector('nav a').hash + '/{run_id(number)}'")
        tab.wait_for("document.querySelector('tbody td')")
        for rank in range(1, EVENTS + 1):
            watching = SEEN % f"document.body.innerText.includes('{rank} worker')"
            tab.run(f"window.shown = {watching}.then(() => Date.now()); true")
            time.sleep(0.3)
            began = time.time()
            with path.open("ab") as file:
                file.write(line(number, "train/triage", "worker-started", attempt=1, rank=rank, pid=1))
            delays.append(float(tab.run("window.shown")) / 1000 - began)
    finally:
        lock.release()
    return delays


def _log(directory: Path, tab: Tab, number: int) -> tuple[float, float]:
    """Seconds to the end of a long log, and to a text in its last line."""
    path = StateDirectory(directory).log(run_id(number), "train/triage", 1, 0)
    with path.open("w") as file:
        file.writelines(f"epoch {n}: loss {1 / (n + 1):.6f}\n" for n in range(LINES))
    began = time.perf_counter()
    tab.run(f"location.hash = document.querySelector('nav a').hash + '/{run_id(number)}/log/train%2Ftriage%2F1-0.log'")
    tab.wait_for(
        f"document.querySelector('.log') && document.querySelector('.log').innerText.includes('epoch {LINES - 1}:')"
    )
    end = time.perf_counter() - began
    began = time.perf_counter()
    tab.run(f"document.querySelector('.tools input').value = 'epoch {LINES - 1}:'")
    tab.run("document.querySelector('.tools input').dispatchEvent(new InputEvent('input', {bubbles: true}))")
    tab.run("document.querySelector('.tools button').click()")
    tab.wait_for("document.querySelector('.log mark')")
    return end, time.perf_counter() - began


def _curves(tab: Tab, number: int, figures: int) -> tuple[float, float]:
    """Seconds to the first charts of a training with very many figures, and to the chart of one by its name."""
    began = time.perf_counter()
    tab.run(f"location.hash = document.querySelector('nav a').hash + '/{run_id(number)}'")
    tab.wait_for("document.querySelectorAll('.chart').length === 24")
    charts, last = time.perf_counter() - began, figure_names(figures)[-1]
    began = time.perf_counter()
    tab.run(f"document.querySelector('[aria-label=\"Find curves\"]').value = '{last}'")
    tab.run("document.querySelector('[aria-label=\"Find curves\"]').dispatchEvent(new InputEvent('input'))")
    tab.wait_for("document.querySelectorAll('.chart').length === 1")
    return charts, time.perf_counter() - began


def _of_mlflow(directory: Path, tab: Tab, runs: int, figures: int) -> None:
    """MLflow's own server and page on its own database."""
    python = peer([MLFLOW])
    store = f"sqlite:///{directory / 'mlflow.db'}"
    subprocess.run(
        [str(python.with_name("mlflow")), "db", "upgrade", store], check=True, capture_output=True, timeout=PATIENCE
    )
    make = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); mlflow.search_experiments()"
    subprocess.run([str(python), "-c", make, store], check=True, capture_output=True, timeout=PATIENCE)
    fill_mlflow(directory / "mlflow.db", runs, figures)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [
        str(python.with_name("mlflow")),
        "server",
        "--backend-store-uri",
        store,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=users_environment())
    try:
        url = f"http://127.0.0.1:{port}"
        _until_up(f"{url}/health")
        answers = [_search(url) for _ in range(3)]
        print(f"  MLflow with {runs} of these runs: its list of runs answers in {median(answers):.2f} s", flush=True)
        row = "[...document.querySelectorAll('[role=row] a, td a')].some((each) => /run \\d+/.test(each.textContent))"
        print(f"  MLflow with {runs} of these runs: first rows {_mlflow_rows(tab, url, row)}", flush=True)
    finally:
        process.terminate()
        process.wait(60)


def _mlflow_rows(tab: Tab, url: str, row: str) -> str:
    try:
        return f"{median([_load(tab, f'{url}/#/experiments/0/runs', row) for _ in range(3)]):.2f} s"
    except AssertionError as late:
        # The browser waits so long for a page, and no longer.
        return f"not seen: {late}"


def _search(url: str) -> float:
    body = json.dumps({"experiment_ids": ["0"], "max_results": 50}).encode()
    asked = urllib.request.Request(f"{url}/api/2.0/mlflow/runs/search", body, {"content-type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        answer.read()
    return time.perf_counter() - began


def _until_up(url: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                sys.exit(f"MLflow did not start within {PATIENCE:g} s")
            time.sleep(0.5)


def _memory(pid: int) -> float:
    """The resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e3


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
