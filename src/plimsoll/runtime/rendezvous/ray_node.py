"""A Ray node for each worker. Worker 0 runs the head, and the command once the nodes of all workers have joined.

The nodes of the other workers run Ray tasks of the command, and end with the head.

Stand-alone: it runs in the environment of the training, which has ray and not plimsoll.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

GANG_LIMIT = 600.0
"""Seconds to wait for all nodes to join: some may have to pull images first."""
END_LIMIT = 10.0
POLL_INTERVAL = 1.0
MAX_SILENT_POLLS = 3
"""Consecutive failed connections after which the head counts as ended."""
WAIT_FOR_NODES = """
import sys, time, ray
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
wanted, end = int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
while (joined := sum(node["Alive"] for node in ray.nodes())) < wanted:
    if time.monotonic() > end:
        sys.exit(f"only {joined} of {wanted} Ray nodes joined within {sys.argv[3]} s")
    time.sleep(0.2)
"""


def main() -> None:
    """Exit with the command's status on worker 0; exit 0 on the others when the head has ended."""
    try:
        import ray  # noqa: F401 - checks only that it is installed
    except ImportError as error:
        sys.exit(f"{sys.executable} cannot import ray ({error}): add it to the requirements")
    rank, workers = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    host, _, port = os.environ["RAY_HEAD_ADDRESS"].rpartition(":")
    head = (socket.gethostbyname(host), int(port))
    sys.exit(_run_head(head, workers, sys.argv[1:]) if rank == 0 else _run_worker(head))


def _run_head(head: tuple[str, int], workers: int, command: Sequence[str]) -> int:
    address = f"{head[0]}:{head[1]}"
    with _node("--head", "--port", str(head[1]), "--include-dashboard=false", "--disable-usage-stats") as node:
        _wait_for(head, node)
        counted = subprocess.run(
            [sys.executable, "-c", WAIT_FOR_NODES, address, str(workers), f"{GANG_LIMIT:g}"], check=False
        )
        if counted.returncode:
            return 1
        try:
            status = subprocess.run(command, env={**os.environ, "RAY_ADDRESS": address}, check=False).returncode
        except OSError as error:
            sys.exit(f"cannot start {command[0]}: {error.strerror}")
    return status if status >= 0 else 128 - status


def _run_worker(head: tuple[str, int]) -> int:
    _wait_for(head, None)
    with _node("--address", f"{head[0]}:{head[1]}") as node:
        silent = 0
        while silent < MAX_SILENT_POLLS and node.poll() is None:
            time.sleep(POLL_INTERVAL)
            silent = 0 if _answers(head) else silent + 1
    if _answers(head):
        sys.exit(f"this worker's Ray node ended with status {node.returncode}, but the head still runs")
    return 0


@contextlib.contextmanager
def _node(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A node that ends with the block. Its directory has a short name, because paths of sockets have a length limit."""
    own = socket.gethostbyname(os.environ["RAY_NODE_HOST"])
    place = tempfile.mkdtemp(prefix="ray-")
    # Ray needs a user name, which a pod's user may lack.
    environment = {"USER": "plimsoll", **os.environ}
    argv = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address", own]
    argv += ["--num-cpus", os.environ["RAY_NODE_CPUS"], "--min-worker-port", "0", "--max-worker-port", "0"]
    if "--head" in options:
        argv += ["--temp-dir", place]
    with Path(place, "start.log").open("wb") as log:
        node = subprocess.Popen([*argv, *options], env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield node
        if node.poll() is not None and node.returncode:
            sys.stderr.write(Path(place, "start.log").read_text(encoding="utf-8", errors="replace")[-2000:])
    finally:
        node.terminate()
        try:
            node.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            node.kill()
        shutil.rmtree(place, ignore_errors=True)


def _wait_for(head: tuple[str, int], node: subprocess.Popen[bytes] | None) -> None:
    end = time.monotonic() + GANG_LIMIT
    while not _answers(head):
        if node is not None and node.poll() is not None:
            sys.exit(f"the Ray head ended with status {node.returncode}")
        if time.monotonic() > end:
            sys.exit(f"the Ray head at {head[0]}:{head[1]} did not answer within {GANG_LIMIT:g} s")
        time.sleep(0.1)


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
