"""The server's side of a process that runs a user's function: its start, its socket, and how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.files import digest_of_file
from plimsoll.runtime.server.predictors import function_process
from plimsoll.runtime.server.predictors.apart import ending_inside, sandboxed, variables_inside
from plimsoll.runtime.server.predictors.function_process import LARGEST, MODEL, START, Header, packed, unpacked
from plimsoll.runtime.server.service_file import OwnCode
from plimsoll.runtime.tensors import Array

BUFFER = 1 << 20
"""Bytes that a socket holds for whoever reads late."""
LARGEST_HEADER = 1 << 20
"""Bytes of the names and shapes of a message."""
END_LIMIT = 1.0
"""Seconds for a process that has closed its socket, or was killed, to be gone."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""One thread for each process, as there are as many processes as cores; what the user sets counts more."""
_PAGE = os.sysconf("SC_PAGE_SIZE")

State = Literal["starting", "idle", "busy", "ended"]


class NoMessage(Exception):
    """The user's code wrote to the socket that is the server's."""

    def __str__(self) -> str:
        return "it wrote to a file descriptor that is not its own"


class FunctionProcess:
    """One process, and what of its messages has been received."""

    def __init__(self, code: OwnCode, model: str) -> None:
        """Start it. Raises TargetError when the command cannot be started or its code was changed."""
        require_unchanged(code)
        place = code.argv.index(code.script)
        self.channel, its = socket.socketpair()
        for end in (self.channel, its):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        own = [str(Path(function_process.__file__)), str(its.fileno())]
        try:
            self._process = start(code, model, [*code.argv[:place], *own, *code.argv[place:]], (its.fileno(),), {})
        except BaseException:  # whatever happens: the channel belongs to nobody then
            self.channel.close()
            raise
        finally:
            its.close()
        self.pid = self._process.pid
        self._sandbox = code.sandbox
        self.state: State = "starting"
        self.since = 0.0
        """When it was started, by the clock of the event loop."""
        self.killed_for = ""
        """Why the server has ended it; empty as long as it has not."""
        self._received = bytearray()
        self._unsent = memoryview(b"")

    def kill(self, reason: str = "") -> None:
        """End it now."""
        self.killed_for = self.killed_for or reason
        signal_group(self.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Close the socket and collect the process; gives the reason as the end of a sentence."""
        self.state = "ended"
        self.channel.close()
        code: int | None = None
        for _ in range(2):
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(END_LIMIT)
                break
            self._process.kill()
        # What it has started itself has nobody left to work for.
        signal_group(self.pid, signal.SIGKILL)
        return self.killed_for or ending_of(ending_inside(self._sandbox, code))

    def memory(self) -> int:
        """Resident bytes; 0 where the machine does not tell. A sandbox has processes beside that of the function."""
        return memory_of(self.pid) if self._sandbox is None else memory_of_group(self.pid)

    # Messages.

    def send(self, tensors: Mapping[str, Array]) -> bool:
        """Send a call as far as the socket takes it; false when `send_rest` is to be called when it can take more."""
        self._unsent = memoryview(packed({}, tensors))
        return self.send_rest()

    def send_rest(self) -> bool:
        """Send more of a call; whether all of it is sent. What the process no longer takes, its end will tell of."""
        while self._unsent:
            try:
                self._unsent = self._unsent[self.channel.send(self._unsent) :]
            except BlockingIOError:
                return False
            except OSError:
                self._unsent = memoryview(b"")
        return True

    def receive(self) -> bool:
        """Read what is there; false at the end."""
        try:
            received = self.channel.recv(BUFFER)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._received += received
        return bool(received)

    def messages(self) -> Iterator[tuple[Header, dict[str, Array]]]:
        """The messages that are complete."""
        while len(self._received) >= START.size:
            written, size = START.unpack_from(self._received)
            if written > LARGEST_HEADER or size > LARGEST:
                raise NoMessage
            whole = START.size + written + size
            if len(self._received) < whole:
                return
            message, self._received = memoryview(self._received)[:whole], self._received[whole:]
            try:
                header = msgspec.json.decode(message[START.size : START.size + written])
                found = unpacked(header, message[START.size + written :])
            except (*UNREADABLE, KeyError, TypeError, ValueError) as error:
                raise NoMessage from error
            yield header, found

    def next_message(self, limit: float) -> tuple[Header, dict[str, Array]] | None:
        """Wait for the next message; None at the end. Raises TimeoutError after `limit` seconds without any of it."""
        self.channel.settimeout(limit)
        while True:
            for message in self.messages():
                return message
            received = self.channel.recv(BUFFER)
            if not received:
                return None
            self._received += received


def start(
    code: OwnCode, model: str, argv: list[str], sockets: tuple[int, ...], more: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a command of the user's. All that it prints goes to the server's log. Raises TargetError."""
    variables = {**ONE_THREAD, **os.environ, "PYTHONUNBUFFERED": "1", **more}
    for name, value in {**code.environment, MODEL: model or None}.items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    try:
        with sandboxed(code.sandbox, argv) as (command, more_descriptors):
            return subprocess.Popen(
                command,
                cwd=code.directory or None,
                env=variables if code.sandbox is None else variables_inside(code.sandbox, variables),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                stderr=sys.stderr.fileno(),
                pass_fds=(*sockets, *more_descriptors),
                # Ctrl-C in a terminal is for the server, which first answers what has begun.
                process_group=0,
            )
    except OSError as error:
        hint = "correct services.….run: the program is looked for on PATH"
        raise TargetError(f"the command cannot be started: {error.strerror}", where=code.argv[0], hint=hint) from error


def require_unchanged(code: OwnCode) -> None:
    """Raise TargetError for a file of the code that is no longer what the service was started with."""
    for path, digest in code.files.items():
        try:
            same = digest_of_file(Path(code.directory, path)).removeprefix("sha256:") == digest
        except OSError as error:
            raise TargetError(f"a file of the code cannot be read: {error.strerror}", where=path) from error
        if not same:
            hint = "start the service anew with plimsoll run, or take the change back"
            raise TargetError("it was changed since the service was started", where=path, hint=hint)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process of the user's and to all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def memory_of_group(leader: int) -> int:
    """Resident bytes of a process and of all that it has started; shared pages count once for each."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == leader:
                total += memory_of(int(entry.name))
    return total


def memory_of(pid: int) -> int:
    """Resident bytes of a process; 0 where the machine does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def ending_of(code: int | None) -> str:
    """How a process ended, by its exit status as Python gives it."""
    if code is None:
        return "its process closed its connection and cannot be ended"
    if code >= 0:
        return f"its process ended with status {code}"
    if -code == signal.SIGKILL:
        return "its process was killed (SIGKILL): the memory has run out, unless somebody killed it"
    with contextlib.suppress(ValueError):
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process was ended by signal {-code}"
