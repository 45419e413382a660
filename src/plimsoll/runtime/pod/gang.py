"""Join the gang from inside a pod: wait for all host names, start the tracker on rank 0, set variables."""

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
from plimsoll.runtime.pod_task import TRACKER_PORT, WORKER_PORT, PodTask

GANG_LIMIT = 600.0
"""Seconds to wait for all workers of a gang: some nodes may have to pull images first."""
TRACKER_LIMIT = 60.0
MANY = 256
"""Workers of a gang up to which each waits for all; of a larger one the first waits for all, the others for it."""
_POLL_INTERVAL = 0.2
Log = Callable[[str], None]


def join_gang(
    task: PodTask, rank: int, directory: Path, environment: Mapping[str, str], log: Log
) -> tuple[dict[str, str], subprocess.Popen[bytes] | None]:
    """Wait for the gang. Returns the variables of this worker, and on rank 0 the tracker process if there is one.

    Raises TargetError that names a missing worker.
    """
    if len(task.hosts) == 1 and task.framework == "none":
        return {}, None
    contract = contract_of(task.framework)
    tracker = None
    hosts = task.hosts
    if len(hosts) > 1:
        _wait_for_hosts(_awaited(hosts, rank), log)
    address = None
    if contract.rendezvous_script:
        if rank == 0:
            tracker = _start_tracker(contract.rendezvous_script, len(hosts), directory, environment)
        else:
            _wait_for_port(hosts[0], TRACKER_PORT, "the tracker of worker 0")
        address = (hosts[0] if len(hosts) > 1 else "127.0.0.1", TRACKER_PORT)
    gang = Gang(
        hosts=hosts,
        ports=(WORKER_PORT,) * len(hosts),
        rendezvous=address,
        directory=str(directory),
        cores_per_worker=task.cores,
    )
    for name, content in contract.files(gang).items():
        (directory / name).write_text(content, encoding="utf-8")
    return dict(contract.environment(rank, gang)), tracker


def _awaited(hosts: Sequence[str], rank: int) -> Sequence[str]:
    """The workers whose names a worker waits for: all of them, unless that were millions of questions together."""
    return hosts if rank == 0 or len(hosts) <= MANY else hosts[:1]


def _wait_for_hosts(hosts: Sequence[str], log: Log) -> None:
    deadline = time.monotonic() + GANG_LIMIT
    missing = list(hosts)
    is_logged = False
    while missing := [host for host in missing if not _resolves(host)]:
        if time.monotonic() > deadline:
            raise TargetError(
                f"{len(missing)} of {len(hosts)} workers did not start within {GANG_LIMIT:g} s: {missing[0]}"
            )
        if not is_logged:
            log(f"waiting for {len(missing)} of {len(hosts)} workers")
            is_logged = True
        time.sleep(_POLL_INTERVAL)


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


def _wait_for_port(host: str, port: int, what: str) -> None:
    deadline = time.monotonic() + GANG_LIMIT
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"{what} did not answer within {GANG_LIMIT:g} s: {error}"
                raise TargetError(message, where=f"{host}:{port}") from error
            time.sleep(_POLL_INTERVAL)
        else:
            return


def _start_tracker(name: str, workers: int, directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the tracker and wait until it listens. Raises TargetError when it does not start."""
    ready = directory / "rendezvous.json"
    own = socket.gethostbyname(socket.gethostname()) if workers > 1 else "127.0.0.1"
    options = ["--workers", str(workers), "--host", own, "--port", str(TRACKER_PORT), "--ready-file", str(ready)]
    command = [sys.executable, str(script_path(name)), *options, "--timeout", f"{GANG_LIMIT:g}"]
    process = subprocess.Popen(command, env=dict(environment))
    deadline = time.monotonic() + TRACKER_LIMIT
    while not ready.exists():
        if process.poll() is not None:
            raise TargetError(f"the tracker ended with status {process.returncode}", hint="the log has its output")
        if time.monotonic() > deadline:
            process.kill()
            raise TargetError(f"the tracker did not start within {TRACKER_LIMIT:g} s")
        time.sleep(0.05)
    return process
