"""Runs workers: started again when an input ends one, ended when an input takes too long."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.hardening.findings import Findings
from benchmarks.hardening.worker import CURRENT
from benchmarks.measuring import ROOT

SILENCE = 60.0
"""Seconds without a line after which the input that is being tried counts as one that hangs."""
STARTS = 20
"""Processes of one area at most."""


class Worked:
    """What the workers of one area did: cases, and megabytes of memory at most."""

    def __init__(self) -> None:
        self.cases = 0
        self.peak = 0.0


def work(area: str, directory: Path, findings: Findings, seconds: float, seed: str) -> Worked:
    """Attack an area for so long, in as many processes as it takes."""
    worked, end = Worked(), time.monotonic() + seconds
    for start in range(STARTS):
        left = end - time.monotonic()
        if left <= 0:
            break
        room = directory / f"{area}-{start}"
        room.mkdir()
        if _one(area, room, findings, left, f"{seed}-{start}", worked):
            break
    return worked


def _one(area: str, room: Path, findings: Findings, seconds: float, seed: str, worked: Worked) -> bool:
    """One process; whether it came to its end."""
    argv = [sys.executable, "-m", "benchmarks.hardening.worker", area, str(room), str(seconds), seed]
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SSL_CERT_DIR"), str(room))
    # Nothing speaks TLS here, and reading the system's certificates takes most of the time of a case.
    environment = {**os.environ, **homes, "SSL_CERT_FILE": os.devnull}
    with (room / "errors").open("wb") as errors:
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
        try:
            done, silent = _followed(process, area, findings, worked)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if done:
        return True
    current = room / CURRENT
    raw = current.read_bytes() if current.exists() else b""
    said = (room / "errors").read_text(errors="replace").strip().splitlines()[-1:]
    why = f"no end within {SILENCE:g} s" if silent else f"the process ended with {process.returncode}"
    findings.add(area, f"{why} {''.join(said)[:100]}".rstrip(), raw)
    return not raw


def _followed(process: subprocess.Popen[bytes], area: str, findings: Findings, worked: Worked) -> tuple[bool, bool]:
    """Read what a worker says until it ends or says nothing; whether it is done, and whether it was silent."""
    assert process.stdout is not None
    before, buffer = worked.cases, b""
    while select.select([process.stdout], [], [], SILENCE)[0]:
        piece = os.read(process.stdout.fileno(), 1 << 16)
        if not piece:
            process.wait(10)
            return False, False
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "kind" in said:
                findings.add(area, said["kind"], bytes.fromhex(said["input"]))
            else:
                worked.cases, worked.peak = before + said["cases"], max(worked.peak, said["peak"])
            if said.get("done"):
                return True, False
    return False, True
