"""Kills at random moments of a run with training: every resume must end the same, do nothing twice, leave nothing.

Prints `N/N`. What is killed is drawn each time: plimsoll, a worker, the warden, or all of them at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import PLIMSOLL, ROOT

KILLS = 100
SEED = 20260101
EXAMPLE = ROOT / "examples" / "maintenance"
LEFT_OUT = shutil.ignore_patterns(".plimsoll", "__pycache__")
LIMIT = 180.0
ENVIRONMENT = {**os.environ, "ROUNDS": "30"}
"""Three checkpoints are enough to be killed between, and a hundred kills then take a quarter of an hour."""


class Failure(Exception):
    """A kill that did what it must not."""


def main(arguments: list[str]) -> bool:
    """Carry out the kills, over as many runs of the example as they take."""
    kills = int(arguments[0]) if arguments else KILLS
    chance = random.Random(SEED)
    good = 0
    with tempfile.TemporaryDirectory() as name:
        calm = _application(Path(name, "calm"))
        began = time.monotonic()
        _run_to_end(calm)
        usual = time.monotonic() - began
        wanted = _predictions(calm)
        print(f"kills: an undisturbed run takes {usual:.1f} s; {kills} kills, seed {SEED}", flush=True)
        number = 0
        while number < kills:
            directory = _application(Path(name, f"run-{number}"))
            seen: dict[str, tuple[int, int]] = {}
            # Several kills in one application's life: the later ones meet a resumed run.
            for _ in range(min(chance.randint(1, 4), kills - number)):
                number += 1
                victim = chance.choice(("plimsoll", "worker", "warden", "everything"))
                moment = chance.uniform(0.0, usual)
                try:
                    _kill_once(directory, victim, moment, seen)
                    good += 1
                except Failure as failure:
                    print(f"  kill {number} of {victim} after {moment:.2f} s: {failure}", flush=True)
            _run_to_end(directory)
            _nothing_twice(directory, seen)
            if _predictions(directory) != wanted:
                print(f"  after kill {number} the final predictions differ", flush=True)
                good -= 1
            if _marked(directory):
                print(f"  after kill {number} processes are left", flush=True)
                good -= 1
            shutil.rmtree(directory)
            print(f"  {good}/{number}", flush=True)
    print(f"{good}/{kills}")
    return good == kills


def _application(directory: Path) -> Path:
    shutil.copytree(EXAMPLE, directory, ignore=LEFT_OUT)
    return directory


def _kill_once(directory: Path, victim: str, moment: float, seen: dict[str, tuple[int, int]]) -> None:
    """Start a run, kill the victim at the moment, and look at what is left."""
    with (directory / "out.log").open("ab") as log:
        process = subprocess.Popen(
            [*PLIMSOLL, "run"], cwd=directory, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
        )
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        _strike(directory, victim, process.pid)
    if victim in {"plimsoll", "everything"}:
        process.wait(30)
        if victim == "plimsoll" and not _within(5, lambda: not _marked(directory)):
            raise Failure(f"processes outlive plimsoll: {_marked(directory)}")
    else:
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failure("the run hangs after the kill") from None
        if status != 0 and not _retries_are_spent(directory):
            raise Failure(f"the run ended with {status} though it may try again")
    _nothing_twice(directory, seen)


def _strike(directory: Path, victim: str, pid: int) -> None:
    warden = _children(pid)
    workers = _marked(directory)
    victims = {"plimsoll": [pid], "warden": warden, "worker": workers[:1] and [random.choice(workers)]}
    for one in victims.get(victim, [pid, *warden, *workers]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _retries_are_spent(directory: Path) -> bool:
    """Steps without retries may fail when their process is killed; the next run must then do them."""
    return b"failed:" in (directory / "out.log").read_bytes()


def _run_to_end(directory: Path) -> None:
    ended = subprocess.run(
        [*PLIMSOLL, "run"], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"the run does not go on:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")


def _nothing_twice(directory: Path, seen: dict[str, tuple[int, int]]) -> None:
    """A result that was there once must still be that same file."""
    found = {}
    for path in (directory / ".plimsoll" / "results").glob("*/result.json"):
        stat = path.stat()
        found[path.parent.name] = (stat.st_ino, stat.st_mtime_ns)
    again = [key for key, identity in seen.items() if found.get(key) != identity]
    if again:
        raise Failure(f"finished steps were done again: {', '.join(key[:12] for key in again)}")
    seen.update(found)


def _predictions(directory: Path) -> str:
    (path,) = (directory / ".plimsoll" / "latest" / "score" / "backlog").glob("predictions.*")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def _marked(directory: Path) -> list[int]:
    """Processes whose environment says that they belong to this application."""
    mark, found = f"PLIMSOLL_OUTPUT={directory}/".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def _within(seconds: float, condition: object) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
