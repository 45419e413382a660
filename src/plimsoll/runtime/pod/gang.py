"""The gang as a pod sees it: names that have to resolve first, a tracker on rank 0, the framework's variables."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.runtime.contracts import contract_of, script_path
from plimsoll.runtime.contracts.gang import Gang
from plimsoll.runtime.pod_task import TRACKER_PORT, WORKER_PORT, Errand

MEET_LIMIT = 600.0
"""Seconds for all workers of a gang to be there: images may have to be pulled on some nodes first."""
TRACKER_LIMIT = 60.0
_LOOK = 0.2
Say = Callable[[str], None]


def join(
    errand: Errand, rank: int, directory: Path, environment: Mapping[str, str], say: Say
) -> tuple[dict[str, str], subprocess.Popen[bytes] | None]:
    """The variables of this worker, and the tracker's process on rank 0 where the framework has one.

    Raises TargetError that names who did not come.
    """
    if len(errand.hosts) == 1 and errand.framework == "none":
        return {}, None
    contract = contract_of(errand.framework)
    tracker = None
    hosts = errand.hosts
    if len(hosts) > 1:
        _resolve(hosts, say)
    address = None
    if contract.rendezvous_script:
        if rank == 0:
            tracker = _tracker(contract.rendezvous_script, len(hosts), directory, environment)
        else:
            _wait_for(hosts[0], TRACKER_PORT, "the tracker of worker 0")
        address = (hosts[0] if len(hosts) > 1 else "127.0.0.1", TRACKER_PORT)
    gang = Gang(
        hosts=hosts,
        ports=(WORKER_PORT,) * len(hosts),
        rendezvous=address,
        directory=str(directory),
        cores_per_worker=errand.cores,
    )
    for name, content in contract.files(gang).items():
        (directory / name).write_text(content, encoding="utf-8")
    return dict(contract.environment(rank, gang)), tracker


def _resolve(hosts: Sequence[str], say: Say) -> None:
    deadline = time.monotonic() + MEET_LIMIT
    missing = list(hosts)
    told = False
    while missing := [host for host in missing if not _resolves(host)]:
        if time.monotonic() > deadline:
            raise TargetError(
                f"{len(missing)} of {len(hosts)} workers did not come within {MEET_LIMIT:g} s: {missing[0]}"
            )
        if not told:
            say(f"waiting for {len(missing)} of {len(hosts)} workers")
            told = True
        time.sleep(_LOOK)


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


def _wait_for(host: str, port: int, what: str) -> None:
    deadline = time.monotonic() + MEET_LIMIT
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"{what} did not answer within {MEET_LIMIT:g} s: {error}"
                raise TargetError(message, where=f"{host}:{port}") from error
            time.sleep(_LOOK)
        else:
            return


def _tracker(name: str, workers: int, directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the tracker and wait until it listens. Raises TargetError when it does not come up."""
    ready = directory / "rendezvous.json"
    own = socket.gethostbyname(socket.gethostname()) if workers > 1 else "127.0.0.1"
    options = ["--workers", str(workers), "--host", own, "--port", str(TRACKER_PORT), "--ready-file", str(ready)]
    command = [sys.executable, str(script_path(name)), *options, "--timeout", f"{MEET_LIMIT:g}"]
    process = subprocess.Popen(command, env=dict(environment))
    deadline = time.monotonic() + TRACKER_LIMIT
    while not ready.exists():
        if process.poll() is not None:
            raise TargetError(f"the tracker ended with status {process.returncode}")
        if time.monotonic() > deadline:
            process.kill()
            raise TargetError(f"the tracker was not up within {TRACKER_LIMIT:g} s")
        time.sleep(0.05)
    return process
