"""A city on one machine: a registry, and for each camera a device with a process tree and a directory as its disk."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STATE = HERE / ".plimsoll"
GROUP = "cameras"
REGISTRY = "http://127.0.0.1:8486"
SETTINGS = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:8486"}}
"""
LIMIT = 300.0
LOOK = 1.0


def plimsoll(*words: str, quiet: bool = False) -> str:
    """Run a command of Plimsoll, and print it. Raises SystemExit with what it said when it fails."""
    if not quiet:
        print(f"+ plimsoll {' '.join(words)}", flush=True)
    argv = [sys.executable, "-m", "plimsoll", *words]
    ended = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"plimsoll {' '.join(words)}: {ended.stdout}{ended.stderr}")
    return ended.stdout


@contextlib.contextmanager
def registry() -> Iterator[None]:
    """The registry of the city: the one that answers at its address, or Debian's."""
    if answers():
        yield
        return
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        raise SystemExit(f"nothing answers at {REGISTRY}: apt-get install docker-registry")
    settings = STATE / "city.yaml"
    settings.write_text(SETTINGS.format(directory=json.dumps(str(STATE / "city"))))
    with (STATE / "city.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log)
    try:
        wait(answers, "the registry to answer")
        yield
    finally:
        process.terminate()
        process.wait()


def answers() -> bool:
    try:
        with urllib.request.urlopen(f"{REGISTRY}/v2/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextlib.contextmanager
def devices(names: Sequence[str]) -> Iterator[None]:
    """Agents of devices; one that is new is enrolled first."""
    agents: list[subprocess.Popen[bytes]] = []
    began = datetime.now(UTC)
    try:
        for name in names:
            directory = disk(name)
            argv = [sys.executable, "-m", "plimsoll", "edge", "agent", "--directory", str(directory)]
            if not directory.exists():
                token = STATE / f"{name}.token"
                token.write_text(plimsoll("edge", "enroll", GROUP, name))
                argv += ["--token-file", str(token)]
            with (STATE / f"{name}.log").open("ab") as log:
                agents.append(subprocess.Popen(argv, stdout=log, stderr=log))
        wait(lambda: heard_since(began, names), "the devices to be heard")
        yield
    finally:
        for agent in agents:
            agent.terminate()
        for agent in agents:
            agent.wait(60)


def heard_since(began: datetime, names: Sequence[str]) -> bool:
    """Whether all devices have told something since then: what they told before they were last switched off is old."""
    reports = told()
    return all(name in reports and datetime.fromisoformat(reports[name]["at"]) > began for name in names)


def disk(name: str) -> Path:
    return STATE / "devices" / name


def rolled_out() -> None:
    """Send the newest models to the devices, and wait for those that were away for a moment."""
    for line in plimsoll("edge", "rollout", GROUP).splitlines()[-1:]:
        print(line, flush=True)
    wanted = json.loads(plimsoll("models", "--json", quiet=True))["models"]
    newest = {each["name"]: each["version"] for each in wanted}
    names = {f"{name}@{version}" for name, version in newest.items()}
    wait(lambda: all(serves(each) == names for each in told().values()), "the devices to serve the newest models")


def serves(report: dict[str, Any]) -> set[str]:
    return {each["model"] for each in report["services"] if each["up"]}


def told() -> dict[str, dict[str, Any]]:
    """What each device has told last (`Any`: it is JSON)."""
    listed = json.loads(plimsoll("edge", "list", GROUP, "--json", quiet=True))["devices"]
    return {name: each["report"] for name, each in listed.items() if each["report"] is not None}


def wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {LIMIT:.0f} s for {what}; see {STATE}/*.log")
        time.sleep(LOOK)
