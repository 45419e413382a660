"""Lets mpirun on worker 0 start its daemons in the other workers' pods, which have no SSH.

Worker 0 runs the command with this script as mpirun's agent. Every other worker runs a door: it starts what worker 0
asks for, sends back what it prints, and ends with the command. Whoever asks shows by an HMAC over a fresh number that
it knows the gang's secret.

Stand-alone: it runs in the environment of the training, which has Open MPI and not plimsoll.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

GANG_LIMIT = 600.0
"""Seconds to wait for the doors of all workers: some may have to pull images first."""
GREETING_LIMIT = 10.0
END_LIMIT = 10.0
SECRET_VARIABLE = "MPI_DOOR_SECRET"  # noqa: S105  # the name of a variable
PORT_VARIABLE = "MPI_DOOR_PORT"
AGENT = "mpi-agent"
CALL = "--call"
MAX_REQUEST = 1 << 20
OVER, ENDED, OUTPUT, ERRORS = 0, 1, 2, 3
_FRAME = struct.Struct("!BI")
_SIZE = struct.Struct("!I")
_NUMBER = 32


def main() -> None:
    """Exit with the command's status on worker 0, with the daemon's in a call; 0 in a door whose command has ended."""
    if sys.argv[1:2] == [CALL]:
        sys.exit(call(sys.argv[2:]))
    sys.exit(run_command(sys.argv[1:]) if int(os.environ["MPI_DOOR_RANK"]) == 0 else Door().run())


def run_command(command: Sequence[str]) -> int:
    """Run the command while every door is held open, and close them behind it."""
    agent = write_agent()
    held = {opened(host, {"do": "hold"}, GANG_LIMIT): host for host in hosts()[1:]}
    # The command gets its signals itself; it is waited for, so that the doors learn of its end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        process = subprocess.Popen(command, env={**os.environ, **launcher_variables(agent)})
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")
    lost = _watch(process, held)
    for each in held:
        with contextlib.suppress(OSError):
            _send(each, OVER)
            each.close()
    status = process.returncode
    if lost:
        sys.stderr.write(f"the worker {lost} is gone\n")
        return status or 1
    return status if status >= 0 else 128 - status


def hostfile() -> Path:
    """The file with the names of the workers."""
    return Path(os.environ["OMPI_MCA_orte_default_hostfile"])  # noqa: SIM112  # as Open MPI spells it


def hosts() -> list[str]:
    """The names of the workers by rank."""
    return [line.split()[0] for line in hostfile().read_text(encoding="utf-8").splitlines()]


def write_agent() -> Path:
    """The program that mpirun calls in place of ssh. Its daemons look for it too, and find it at the same path."""
    agent = hostfile().with_name(AGENT)
    agent.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" {CALL} "$@"\n', encoding="utf-8")
    agent.chmod(0o700)
    return agent


def launcher_variables(agent: Path) -> dict[str, str]:
    """What makes mpirun use the agent: Open MPI 4, Open MPI 5 (PRRTE), MPICH and Intel MPI."""
    return {
        "OMPI_MCA_plm_rsh_agent": str(agent),
        # Worker 0 alone starts daemons, and each stays where its end is seen.
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "OMPI_MCA_orte_leave_session_attached": "1",
        "PRTE_MCA_plm_ssh_agent": str(agent),
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
        "PRTE_MCA_prte_leave_session_attached": "1",
        "HYDRA_LAUNCHER": "rsh",
        "HYDRA_LAUNCHER_EXEC": str(agent),
        "I_MPI_HYDRA_BOOTSTRAP": "rsh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": str(agent),
    }


def _watch(process: subprocess.Popen[bytes], held: dict[socket.socket, str]) -> str:
    """Wait for the command; the worker that went before it, if one did."""
    with selectors.DefaultSelector() as doors:
        for each in held:
            doors.register(each, selectors.EVENT_READ)
        while process.poll() is None:
            gone = [each.fileobj for each, _ in doors.select(0.2)]
            if gone:
                # mpirun has some time to see by itself that a daemon is gone.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_LIMIT)
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_LIMIT)
                process.kill()
                process.wait()
                return next(host for each, host in held.items() if each is gone[0])
    return ""


def call(arguments: Sequence[str]) -> int:
    """As rsh: `[options] HOST COMMAND…`. Gives the command's status, and its output as it comes."""
    words = list(arguments)
    while words and words[0].startswith("-"):
        words.pop(0)
    if len(words) < 2:
        sys.exit(f"usage: {AGENT} HOST COMMAND")
    # mpirun leaves out what follows the first dot, without which a pod's name means nothing.
    host = next((each for each in hosts() if words[0] in (each, each.partition(".")[0])), words[0])
    connection = opened(host, {"do": "run", "command": " ".join(words[1:])}, GREETING_LIMIT)
    connection.settimeout(None)
    outputs = {OUTPUT: sys.stdout.buffer, ERRORS: sys.stderr.buffer}
    while True:
        kind, size = _FRAME.unpack(_exactly(connection, _FRAME.size))
        content = _exactly(connection, size)
        if kind == ENDED:
            return int(content)
        if kind in outputs:
            outputs[kind].write(content)
            outputs[kind].flush()


def opened(host: str, request: dict[str, str], limit: float) -> socket.socket:
    """A connection to a worker's door that has taken a request. Ends the process when there is none in time."""
    port, secret = int(os.environ[PORT_VARIABLE]), os.environ[SECRET_VARIABLE].encode()
    content = json.dumps(request).encode()
    deadline = time.monotonic() + limit
    while True:
        try:
            connection = socket.create_connection((host, port), GREETING_LIMIT)
            _keep_alive(connection)
            proof = hmac.digest(secret, _exactly(connection, _NUMBER) + content, "sha256")
            connection.sendall(proof + _SIZE.pack(len(content)) + content)
            if _exactly(connection, 1) == b"\1":
                return connection
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"the worker {host} did not answer within {limit:g} s: {error}")
            time.sleep(0.2)


class Door:
    """Listens in a worker until worker 0 says that the command is over, or is gone."""

    def __init__(self, host: str = "", port: int | None = None) -> None:
        self._secret = os.environ[SECRET_VARIABLE].encode()
        own = int(os.environ[PORT_VARIABLE]) if port is None else port
        # Both families where there are both: a cluster may have either.
        dual = not host and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        self._listener = socket.create_server((host, own), family=family, dualstack_ipv6=dual)
        self.port = int(self._listener.getsockname()[1])
        self._over = threading.Event()
        self._held = threading.Event()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._problem = ""
        self._stopped = 0

    def run(self) -> int:
        """Serve until the end."""
        write_agent()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        threading.Thread(target=self.accept, daemon=True).start()
        deadline = time.monotonic() + GANG_LIMIT
        while not self._over.wait(0.2):
            if not self._held.is_set() and time.monotonic() > deadline:
                self._problem = f"worker 0 did not ask for anything within {GANG_LIMIT:g} s"
                break
        self.close()
        if self._problem:
            sys.stderr.write(f"{self._problem}\n")
        return 128 + self._stopped if self._stopped else int(bool(self._problem))

    def accept(self) -> None:
        """Take connections until the door is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end what still runs."""
        self._listener.close()
        with self._lock:
            left = list(self._running)
        for each in left:
            _end(each)

    def _stop(self, number: int, _: object) -> None:
        # Daemons end their ranks and tell mpirun, whose end closes this door.
        self._stopped = number
        for each in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, number)
        if not self._running:
            self._over.set()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError, KeyError):
            connection.settimeout(GREETING_LIMIT)
            number = secrets.token_bytes(_NUMBER)
            connection.sendall(number)
            proof = _exactly(connection, _NUMBER)
            (size,) = _SIZE.unpack(_exactly(connection, _SIZE.size))
            if size > MAX_REQUEST:
                return
            content = _exactly(connection, size)
            if not hmac.compare_digest(proof, hmac.digest(self._secret, number + content, "sha256")):
                return
            request = json.loads(content)
            connection.sendall(b"\1")
            connection.settimeout(None)
            _keep_alive(connection)
            if request["do"] == "hold":
                self._hold(connection)
            else:
                self._run(connection, str(request["command"]))

    def _hold(self, connection: socket.socket) -> None:
        self._held.set()
        try:
            kind, _ = _FRAME.unpack(_exactly(connection, _FRAME.size))
        except OSError:
            kind = None
        if kind != OVER:
            self._problem = "worker 0 is gone"
        self._over.set()

    def _run(self, connection: socket.socket, command: str) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with self._lock:
            self._running.add(process)
        try:
            _carry(connection, process)
        finally:
            _end(process)
            with self._lock:
                self._running.discard(process)


def _carry(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Send what a process prints, until it has ended or the other side is gone."""
    assert process.stdout is not None  # noqa: S101  # asked for
    assert process.stderr is not None  # noqa: S101  # asked for
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ, OUTPUT)
        ready.register(process.stderr, selectors.EVENT_READ, ERRORS)
        ready.register(connection, selectors.EVENT_READ)
        while len(ready.get_map()) > 1:
            for key, _ in ready.select():
                if key.data is None:
                    return
                if content := os.read(key.fd, 1 << 16):
                    _send(connection, key.data, content)
                else:
                    ready.unregister(key.fileobj)
    _send(connection, ENDED, str(process.wait()).encode())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_LIMIT / 2)
            return


def _send(connection: socket.socket, kind: int, content: bytes = b"") -> None:
    connection.sendall(_FRAME.pack(kind, len(content)) + content)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise ConnectionError("the other side closed the connection")
        found += piece
    return found


def _keep_alive(connection: socket.socket) -> None:
    """Notice within 15 s that the other side's machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


if __name__ == "__main__":
    main()
