"""Ways out of a sandbox: a program that tries each in a process of its own, and writes down which led out.

It runs as a step, with and without isolation. `world.json` beside it names what the test has laid out.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

WORLD = json.loads(Path(__file__).with_name("world.json").read_text())
OUTPUT = Path(os.environ["PLIMSOLL_OUTPUT"])
LIBC = ctypes.CDLL(None, use_errno=True)
VICTIM = int(WORLD["victim"])
HOME = Path(WORLD["home"])
STATE = Path(WORLD["state"])
LIMIT = 20
X86 = os.uname().machine == "x86_64"
Way = Callable[[], object]
WAYS: dict[str, Way] = {}


def way(out: Way) -> Way:
    WAYS[out.__name__] = out
    return out


def call(*arguments: object) -> int:
    """A system call by its number; OSError as libc would have it."""
    result = int(LIBC.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def libc(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def number(x86: int, arm: int) -> int:
    return x86 if X86 else arm


def reads(path: str | Path, word: str = "secret") -> Way:
    def out() -> None:
        if word not in Path(path).read_text(errors="replace"):
            raise OSError(f"{path} has something else in it")

    return out


def opens(path: str | Path, flags: int = os.O_WRONLY | os.O_APPEND) -> Way:
    """Open something that is there, and write nothing."""
    return lambda: os.close(os.open(path, flags))


# Files of others.
WAYS["the SSH key"] = reads(HOME / ".ssh/id_rsa")
WAYS["the names of SSH keys"] = lambda: [each.name for each in (HOME / ".ssh").iterdir()].index("id_rsa")
WAYS["the signing key"] = reads(HOME / ".config/plimsoll/keys/signing.pem")
WAYS["keys of GnuPG"] = reads(HOME / ".gnupg/private")
WAYS["cloud credentials"] = reads(HOME / ".aws/credentials")
WAYS["the kubeconfig"] = reads(HOME / ".kube/config")
WAYS["passwords of HTTP"] = reads(HOME / ".netrc")
WAYS["another application's result"] = reads(WORLD["other"])
WAYS["the token of a service"] = reads(STATE / "services/shop.token")
WAYS["the key of an audit log"] = reads(STATE / "audit-keys/shop/key.pem")
WAYS["a result that is no input"] = reads(STATE / "results/other/output/rows.csv")
WAYS["a model of the registry"] = reads(STATE / "registry/blobs/model")
WAYS["a file in the machine's /tmp"] = reads(WORLD["shared"])
WAYS["a file in the machine's /dev/shm"] = reads(WORLD["memory"])
WAYS["hashes of passwords"] = reads("/etc/shadow", ":")
WAYS["the key by way of ../"] = reads(OUTPUT / os.path.relpath(HOME / ".ssh/id_rsa", OUTPUT))
WAYS["a file beside the application"] = reads(WORLD["beside"])
WAYS["a credential in the environment"] = lambda: os.environ["AWS_SECRET_ACCESS_KEY"]
WAYS["the agent of SSH in the environment"] = lambda: os.environ["SSH_AUTH_SOCK"]


@way
def the_key_by_a_symbolic_link() -> None:
    (OUTPUT / "link").symlink_to(HOME / ".ssh/id_rsa")
    try:
        reads(OUTPUT / "link")()
    finally:
        (OUTPUT / "link").unlink()


@way
def the_key_by_a_hard_link() -> None:
    os.link(HOME / ".ssh/id_rsa", OUTPUT / "hard")
    try:
        reads(OUTPUT / "hard")()
    finally:
        (OUTPUT / "hard").unlink()


# Writing.
WAYS["change the application file"] = opens(STATE.parent / "plimsoll.yaml")
WAYS["change the journal"] = opens(STATE / "runs/run-0/journal.jsonl")
WAYS["change a result"] = opens(STATE / "results/other/output/rows.csv")
WAYS["change the shell's settings"] = opens(HOME / ".profile")
WAYS["change names of hosts"] = opens("/etc/hosts")
WAYS["change a program"] = opens(os.path.realpath("/usr/bin/env"))
WAYS["change a setting of the kernel"] = opens("/proc/sys/kernel/hostname")
WAYS["change what becomes of crashes"] = opens("/proc/sys/kernel/core_pattern")
WAYS["keys of the system"] = opens("/proc/sysrq-trigger", os.O_WRONLY)
WAYS["memory of the kernel"] = opens("/proc/kcore", os.O_RDONLY)
WAYS["change a device"] = opens(WORLD["device"])
WAYS["change a control group"] = opens(WORLD["cgroup"])
WAYS["the kernel's messages"] = opens("/dev/kmsg")
WAYS["a disk"] = opens(WORLD["disk"], os.O_RDONLY)


@way
def plant_code_beside_the_application() -> None:
    planted = STATE.parent / "sitecustomize.py"
    planted.touch()
    planted.unlink()


@way
def forge_a_result() -> None:
    forged = STATE / "results" / "forged"
    forged.mkdir()
    forged.rmdir()
    if not (STATE / "results" / "other").is_dir():
        raise OSError("it was made somewhere else")


# Processes of others.
WAYS["see other processes"] = lambda: Path(f"/proc/{VICTIM}").stat()
WAYS["signal another process"] = lambda: os.kill(VICTIM, signal.SIGCONT)
WAYS["slow another process down"] = lambda: os.setpriority(os.PRIO_PROCESS, VICTIM, 5)
WAYS["bind another process to a core"] = lambda: os.sched_setaffinity(VICTIM, os.sched_getaffinity(VICTIM))
WAYS["limit another process"] = lambda: resource.prlimit(
    VICTIM, resource.RLIMIT_CORE, resource.prlimit(VICTIM, resource.RLIMIT_CORE)
)
WAYS["hold another process"] = lambda: os.close(os.pidfd_open(VICTIM))
WAYS["the environment of another process"] = reads(f"/proc/{VICTIM}/environ")
WAYS["the root of another process"] = reads(f"/proc/{VICTIM}/root{HOME}/.ssh/id_rsa")
WAYS["the directory of another process"] = lambda: [*Path(f"/proc/{VICTIM}/cwd").iterdir()]


@way
def trace_another_process() -> None:
    libc("ptrace", 0x4206, VICTIM, None, None)


@way
def trace_whoever_watches() -> None:
    """The first process that is to be seen, which is the warden of a sandbox."""
    libc("ptrace", 0x4206, 1 if WORLD["inside"] else VICTIM, None, None)


@way
def the_memory_of_whoever_watches() -> None:
    os.close(os.open(f"/proc/{1 if WORLD['inside'] else VICTIM}/mem", os.O_RDWR))


@way
def the_memory_of_another_process() -> None:
    start = int(Path(f"/proc/{VICTIM}/maps").read_text().partition("-")[0], 16)
    buffer = ctypes.create_string_buffer(8)
    local = struct.pack("PN", ctypes.addressof(buffer), 8)
    remote = struct.pack("PN", start, 8)
    call(number(310, 270), VICTIM, local, 1, remote, 1, 0)


# The network.
@way
def a_service_of_this_machine() -> None:
    socket.create_connection(("127.0.0.1", WORLD["port"]), timeout=5).close()


@way
def a_service_by_ipv6() -> None:
    socket.create_connection(("::1", WORLD["port6"]), timeout=5).close()


@way
def a_socket_without_a_file() -> None:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect("\0" + WORLD["abstract"])


@way
def a_socket_by_its_file() -> None:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(WORLD["socket"])


@way
def the_metadata_of_a_cloud() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("169.254.169.254", 80))


@way
def interfaces_of_the_machine() -> None:
    if all(name == "lo" for _, name in socket.if_nameindex()):
        raise OSError("there is only the loopback")


WAYS["packets of one's own making"] = lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
WAYS["packets of others"] = lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3).close()


# The kernel.
@way
def mount_something() -> None:
    place = OUTPUT / "mount"
    place.mkdir()
    try:
        libc("mount", b"none", bytes(place), b"tmpfs", 0, None)
        libc("umount", bytes(place))
    finally:
        place.rmdir()


@way
def take_a_cover_off() -> None:
    """What hides something is a mount, in a sandbox."""
    if WORLD["inside"]:
        libc("umount2", bytes(STATE), 2)
    else:
        mount_something()


@way
def make_a_device() -> None:
    os.mknod(OUTPUT / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (OUTPUT / "null").unlink()


WAYS["namespaces of one's own"] = lambda: libc("unshare", 0x10000000)
WAYS["mounts of one's own"] = lambda: libc("unshare", 0x00020000)
WAYS["another root"] = lambda: os.chroot(OUTPUT)
WAYS["the network of another process"] = lambda: libc("setns", os.open(f"/proc/{VICTIM}/ns/net", os.O_RDONLY), 0)
WAYS["the name of the machine"] = lambda: socket.sethostname(socket.gethostname())
WAYS["another user"] = lambda: os.setuid(65534)
WAYS["groups"] = lambda: os.setgroups([0, 1])
WAYS["the log of the kernel"] = lambda: libc("klogctl", 3, ctypes.create_string_buffer(64), 64)
WAYS["keys in the kernel"] = lambda: call(number(250, 219), 0, -4, 1)
WAYS["a key for the kernel"] = lambda: call(number(248, 217), b"user", b"plimsoll-test", b"x", 1, -2)
WAYS["programs in the kernel"] = lambda: os.close(
    call(number(321, 280), 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(56), 72)
)
WAYS["faults of memory"] = lambda: os.close(call(number(323, 282), 0))
WAYS["rings of the kernel"] = lambda: os.close(call(425, 4, bytes(120)))
WAYS["counters of the processor"] = lambda: os.close(
    call(number(298, 241), struct.pack("IIQ", 1, 112, 0) + bytes(96), 0, -1, -1, 0)
)


# Bounds.
@way
def more_processes_than_allowed() -> None:
    made: list[int] = []
    try:
        for _ in range(WORLD["many"]):
            pid = os.fork()
            if pid == 0:
                time.sleep(LIMIT)
                os._exit(0)
            made.append(pid)
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@way
def more_threads_than_allowed() -> None:
    go = threading.Event()
    try:
        for _ in range(WORLD["many"]):
            threading.Thread(target=go.wait, daemon=True).start()
    finally:
        go.set()


def fills(directory: str) -> Way:
    def out() -> None:
        with tempfile.TemporaryFile(dir=directory) as file:
            for _ in range(WORLD["megabytes"]):
                file.write(bytes(1 << 20))
                file.flush()

    return out


WAYS["fill /tmp"] = fills("/tmp")
WAYS["fill /dev/shm"] = fills("/dev/shm")
WAYS["fill the home directory"] = fills(str(HOME))


def attempt(out: Way) -> str:
    """What came of one way: `out`, or why not."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(LIMIT)
        said = "out"
        try:
            out()
        except BaseException as error:  # noqa: BLE001 - whatever keeps it in
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode()[:500])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read().decode()
    _, status = os.waitpid(pid, 0)
    return said or f"it was ended: {status}"


if __name__ == "__main__":
    found = {name: attempt(out) for name, out in WAYS.items()}
    (OUTPUT / "found.json").write_text(json.dumps(found))
    sys.exit(0)
