"""The warden: a small process that starts every process of a run and outlives none of them.

It runs as a script (`python -S -E warden_process.py FD`) with the standard library only. It reads and writes JSON lines
on the socket with the given descriptor; descriptors of files come with them (SCM_RIGHTS). It guarantees three things
that a thread of the main process could not:

- when the main process dies for any reason, the socket closes and the warden kills every process that it started;
- when the warden dies, the kernel kills each process that it started (PR_SET_PDEATHSIG);
- when a step ends, the warden kills the processes that the step left running (background jobs, daemons): the warden is
  their subreaper, so they become its children, and they carry the step's mark in their environment.

In a sandbox (`warden_process.py FD inside`) it is the first process there, says so, and lets nothing look into it.

Requests:  {"do": "spawn", "id", "argv", "environment", "directory", "mark", "kept", "cgroups"}
           with 1 + kept + cgroups descriptors: the log, those that the process keeps as 3, 4, …, files `cgroup.procs`
           {"do": "signal", "pid", "signal"}
Answers:   {"spawned": id, "pid"} or {"refused": id, "reason", "path"}
           {"ended": pid, "code", "signal", "cpu_seconds", "peak_memory"}
           {"inside": pid} once, in a sandbox
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
KEPT_FROM = 3
"""The number of the first descriptor that a process keeps."""
ABOVE = 64
"""Descriptors from here on are in nobody's way."""
MOST_DESCRIPTORS = 32
"""Descriptors of one request."""
Message = dict[str, Any]
"""A JSON object of the protocol; each request and answer has its own keys."""
LIBC = ctypes.CDLL(None, use_errno=True)
RLIMIT_LOCKS = 10
STEP_MARK = 7_091
"""The limit on file locks of all that a step starts: Linux does nothing with it, and only root can raise it again. The
holder of the signing key signs for no process that has it (`signing.holder.peers`)."""
MARK = "PLIMSOLL_OUTPUT"
"""The environment variable whose value identifies the attempt of a process."""


def main(descriptor: int, *, inside: bool = False) -> None:
    """Serve requests until the other end of the socket closes."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # What it starts must not find the socket, by which it could start more, or end others.
    os.set_inheritable(descriptor, False)
    if inside:
        # Nor may it be traced: processes in a sandbox have its user.
        LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wake_read, wake_write = socket.socketpair()
    for end in (wake_read, wake_write):
        end.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    server = WardenServer(socket.socket(fileno=descriptor), wake_read)
    if inside:
        server.send({"inside": os.getpid()})
    server.serve()


class WardenServer:
    """Starts processes and reports their ends. `leaders` maps the pid of a started process to its attempt's mark."""

    def __init__(self, connection: socket.socket, wake: socket.socket) -> None:
        self.connection = connection
        self.wake = wake
        self.leaders: dict[int, str] = {}
        self.unread = b""
        self.descriptors: list[int] = []

    def serve(self) -> None:
        """Answer requests and report ends; kill everything when the connection closes."""
        waiting = selectors.DefaultSelector()
        waiting.register(self.connection, selectors.EVENT_READ)
        waiting.register(self.wake, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in waiting.select():
                    if key.fileobj is self.wake:
                        with contextlib.suppress(BlockingIOError):
                            self.wake.recv(4096)
                    elif not self.read_requests():
                        return
                self.reap()
        except OSError:
            return
        finally:
            self.kill_everything()

    def read_requests(self) -> bool:
        """Handle all requests that have arrived; returns False when the other end has closed."""
        data, descriptors, *_ = socket.recv_fds(self.connection, 1 << 16, MOST_DESCRIPTORS)
        for descriptor in descriptors:
            # Python 3.11 leaves the flag out by which the kernel would do so.
            os.set_inheritable(descriptor, False)
        self.descriptors += descriptors
        if not data:
            return False
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            self.handle(json.loads(line))
        return True

    def handle(self, request: Message) -> None:
        """Handle one request."""
        if request["do"] == "signal":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if request["pid"] in self.leaders:
                    os.killpg(request["pid"], request["signal"])
            return
        count = 1 + request["kept"] + request["cgroups"]
        given, self.descriptors = self.descriptors[:count], self.descriptors[count:]
        try:
            pid = spawn(request, given)
        except OSError as error:
            reason = error.strerror or str(error)
            refused = {"refused": request["id"], "reason": reason, "path": error.filename, "number": error.errno}
            self.send(refused)
            return
        finally:
            for descriptor in given:
                os.close(descriptor)
        self.leaders[pid] = request["mark"]
        self.send({"spawned": request["id"], "pid": pid})

    def reap(self) -> None:
        """Report every leader that has ended, after killing the processes that it left running."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            mark = self.leaders.pop(pid, None)
            if mark is None:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            if mark not in self.leaders.values():
                self.kill_marked(mark)
            self.send(
                {
                    "ended": pid,
                    "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                    "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                    "cpu_seconds": usage.ru_utime + usage.ru_stime,
                    "peak_memory": usage.ru_maxrss * 1024,
                }
            )

    def kill_marked(self, mark: str) -> None:
        """Kill adopted processes with a mark; loops, because their children are adopted in turn."""
        wanted = f"{MARK}={mark}".encode()
        while True:
            adopted = [pid for pid in children() if pid not in self.leaders and wanted in environment_of(pid)]
            if not adopted:
                return
            for pid in adopted:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def kill_everything(self) -> None:
        """Kill every child process, adopted ones included."""
        while pids := children():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def send(self, answer: Message) -> None:
        """Write one answer."""
        self.connection.sendall(json.dumps(answer).encode() + b"\n")


def spawn(request: Message, given: list[int]) -> int:
    """Start a process as the leader of its own session; returns its pid. Raises OSError when it cannot be started.

    `given` are its descriptors: the log, those that it keeps, and files of control groups.
    """
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        become(request, given, parent, report_write)
    os.close(report_write)
    try:
        problem = os.read(report_read, 4096)
    finally:
        os.close(report_read)
    if problem:
        os.waitpid(pid, 0)
        number, _, path = problem.decode(errors="replace").partition(" ")
        raise OSError(int(number), os.strerror(int(number)), path)
    return pid


def become(request: Message, given: list[int], parent: int, report: int) -> None:
    """In the child: set up the process and execute the command. Never returns; writes an error to `report`."""
    path = request["argv"][0]
    try:
        os.setsid()
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)
        with contextlib.suppress(ValueError, OSError):
            # A run that is a step of another run has the mark already.
            resource.setrlimit(RLIMIT_LOCKS, (STEP_MARK, STEP_MARK))
        # Out of the way of the numbers that they get.
        report, *given = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, ABOVE) for each in (report, *given))
        log, kept, cgroups = given[0], given[1 : 1 + request["kept"]], given[1 + request["kept"] :]
        for cgroup in cgroups:
            # Zero is whoever writes it.
            os.write(cgroup, b"0")
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, descriptor in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, descriptor)
        for number, descriptor in enumerate(kept, KEPT_FROM):
            os.dup2(descriptor, number)
        path = request["directory"]
        os.chdir(path)
        for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(caught, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        path = request["argv"][0]
        os.execvpe(path, request["argv"], request["environment"])  # noqa: S606 - a command that needs a shell names it
    except OSError as error:
        os.write(report, f"{error.errno or 0} {path}".encode(errors="replace"))
    finally:
        os._exit(127)


def children() -> list[int]:
    """The ids of this process's children."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listing:  # noqa: PTH123 - importing pathlib takes 10 ms
            return [int(pid) for pid in listing.read().split()]
    except OSError:
        return []


def environment_of(pid: int) -> list[bytes]:
    """The environment that a process was started with, as NAME=value entries."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as entries:  # noqa: PTH123 - as above
            return entries.read().split(b"\0")
    except OSError:
        return []


if __name__ == "__main__":
    main(int(sys.argv[1]), inside=sys.argv[2:] == ["inside"])
