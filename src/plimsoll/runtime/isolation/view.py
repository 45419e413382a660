"""What the processes of a sandbox see of the machine, and the same as arguments of bubblewrap. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from msgspec import Struct

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store"),
    *(f"/sys/{name}" for name in ("block", "bus", "class", "dev", "devices", "module")),
    *(
        f"/etc/{name}"
        for name in """
        alternatives ca-certificates ca-certificates.conf crypto-policies fonts group host.conf hosts ld.so.cache
        ld.so.conf ld.so.conf.d locale.alias locale.conf localtime mime.types nsswitch.conf nvidia openmpi OpenCL
        os-release passwd pki pmix protocols resolv.conf services ssl timezone vulkan
        """.split()  # noqa: SIM905 - a list of words reads better than a list of strings
    ),
    "/run/systemd/resolve",
)
"""Programs, libraries and settings without secrets, of every distribution; those that are there are seen."""
DEVICES = ("/dev/dri", "/dev/infiniband", "/dev/kfd", "/dev/accel", "/dev/vfio", "/dev/mxm")
"""Devices beside those of NVIDIA, which are numbered."""
PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108 - of the sandbox alone
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - as above
_MAY_OF_ROOT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID")
"""Capabilities that root keeps where its files stay its own: those with which no other process is reached."""
_SETTINGS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Settings of the kernel, which root may change by its user id alone, without any capability."""
_PROCESSES = ("--proc", "/proc", *(word for path in _SETTINGS for word in ("--ro-bind-try", path, path)))


class Sight(Enum):
    """How a path is seen: as it is, not at all, or as a new and empty directory."""

    READ = "read"
    WRITE = "write"
    HIDDEN = "hidden"
    HIDDEN_FILE = "hidden file"
    EMPTY = "empty"


class View(Struct, frozen=True, kw_only=True):
    """What is seen. `paths` are absolute; the longest one that leads to a file decides, whatever the order.

    Without `whole`, what no path leads to is not there. `room` is the size in bytes of each empty directory.
    `directory` is where processes start. `devices` are more of them. `as_root` says that plimsoll runs as root.
    """

    whole: bool
    paths: Mapping[str, Sight]
    directory: str
    network: bool = True
    room: int = 1 << 30
    devices: tuple[str, ...] = ()
    as_root: bool = False

    def sight(self, path: str) -> Sight | None:
        """How a path is seen; None for one that is not there."""
        for above in (path, *map(str, Path(path).parents)):
            if above in self.paths:
                return self.paths[above]
        return Sight.WRITE if self.whole else None

    def hides(self, path: str) -> bool:
        """Whether a path of the machine is not seen."""
        return self.sight(path) not in (Sight.READ, Sight.WRITE)


def strict_paths(
    system: Iterable[str], home: str, reads: Iterable[str], writes: Iterable[str], hidden: Mapping[str, Sight]
) -> dict[str, Sight]:
    """The paths of a view that has nothing but what is named. What is read or written is seen though it be hidden."""
    written = [Path(path) for path in writes]
    read = [path for path in reads if not any(above in Path(path).parents for above in written)]
    named = {**dict.fromkeys(read, Sight.READ), **{str(path): Sight.WRITE for path in written}}
    seen = {**dict.fromkeys(system, Sight.READ), **dict.fromkeys((*PRIVATE, home), Sight.EMPTY), **named}
    view = View(whole=False, paths=seen, directory="/")
    # What is not there need not be hidden.
    return {**seen, **{path: sight for path, sight in hidden.items() if path not in named and not view.hides(path)}}


def arguments(view: View) -> list[str]:
    """The arguments of bubblewrap, without the command."""
    return [
        *("--unshare-pid", "--unshare-ipc"),
        *(_whole(view) if view.whole else _alone(view)),
        *("--chdir", view.directory),
    ]


def _whole(view: View) -> Iterator[str]:
    """The machine as it is, but for what is hidden. Root stays root of its files: nothing else is mapped to it."""
    if view.as_root:
        yield from ("--cap-drop", "ALL")
        for word in _MAY_OF_ROOT:
            yield from ("--cap-add", f"CAP_{word}")
    else:
        yield "--unshare-user"
    yield from ("--bind", "/", "/", "--dev-bind", "/dev", "/dev", *_PROCESSES)
    yield from _mounts(view)


def _alone(view: View) -> Iterator[str]:
    yield from ("--unshare-user", "--disable-userns", "--unshare-cgroup-try", "--cap-drop", "ALL")
    if not view.network:
        # The machine's name would lead to an address that is not there.
        yield from ("--unshare-net", "--unshare-uts", "--hostname", "localhost")
    if "/" in view.paths:
        # All of the machine's files, but neither its processes nor its devices: those come over it.
        yield from _mount("/", view)
    yield from (*_PROCESSES, "--dev", "/dev")
    for device in view.devices:
        yield from ("--dev-bind-try", device, device)
    yield from ("--size", str(view.room), "--perms", "1777", "--tmpfs", SHARED_MEMORY)
    yield from _mounts(view)
    yield from ("--remount-ro", "/")


def _mounts(view: View) -> Iterator[str]:
    """The paths, those above before those below."""
    for path in sorted(view.paths, key=lambda each: (len(Path(each).parts), each)):
        if path != "/" and not _is_seen_already(path, view):
            yield from _mount(path, view)


def _is_seen_already(path: str, view: View) -> bool:
    """Whether a path to read is part of another one: nothing can be mounted upon a link, such as /etc/localtime."""
    above = next((view.paths[str(each)] for each in Path(path).parents if str(each) in view.paths), None)
    return view.paths[path] is Sight.READ and above is Sight.READ


def _mount(path: str, view: View) -> Iterator[str]:
    """One path as it is seen."""
    sight = view.paths[path]
    if sight is Sight.READ:
        yield from ("--ro-bind-try", path, path)
    elif sight is Sight.WRITE:
        yield from ("--bind", path, path)
    elif sight is Sight.HIDDEN_FILE:
        yield from ("--ro-bind", "/dev/null", path)
    elif sight is Sight.EMPTY:
        mode = "1777" if path in PRIVATE else "0700"
        yield from ("--size", str(view.room), "--perms", mode, "--tmpfs", path)
    else:
        # What is seen below it has to be reached, and nothing beside that listed.
        below = any(Path(path) in Path(other).parents for other in view.paths)
        yield from ("--size", "65536", "--perms", "0111" if below else "0000", "--tmpfs", path)
