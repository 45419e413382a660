"""What the lab needs of the machine, checked before anything is made."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lab.build.go import go_program
from lab.errors import LabError

# Each program with the Debian package that has it.
PROGRAMS = {
    "runc": "runc",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "curl": "curl",
    "busybox": "busybox-static",
    "losetup": "mount",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
MEMORY_WANTED = 3 << 30
# Not on everybody's PATH.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def missing() -> list[str]:
    """Everything that stands in the way, each with what to do about it; empty when the lab can run."""
    found = []
    if not sys.platform.startswith("linux"):
        return [f"Linux: network namespaces, cgroups and containers are its own; this is {sys.platform}"]
    if os.geteuid() != 0:
        found.append("root: nodes are namespaces, mounts and cgroups; run it as root")
    try:
        go_program()
    except LabError:
        found.append("Go 1.26 or newer (go.dev/doc/install, or 'python -m lab build'): Kubernetes is built from source")
    if packages := missing_packages():
        found.append(f"programs (on Debian: apt-get install {' '.join(packages)})")
    if not Path("/sys/fs/cgroup").is_dir() or not os.access("/sys/fs/cgroup", os.W_OK):
        found.append("cgroups that can be written, at /sys/fs/cgroup")
    if _memory() < MEMORY_WANTED:
        found.append(f"{MEMORY_WANTED >> 30} GiB of memory; there are {_memory() / (1 << 30):.1f}")
    return found


def missing_packages() -> list[str]:
    """Debian's packages with the programs that are not there."""
    path = _path()
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None]
    if not any(Path(folder, "ptp").exists() for folder in ("/usr/lib/cni", "/opt/cni/bin")):
        packages.append("containernetworking-plugins")
    return packages


def check() -> None:
    """Raises LabError that names all that is missing. Afterwards the programs are found, wherever the PATH led."""
    found = missing()
    if found:
        raise LabError("the lab cannot run here. It needs:\n" + "\n".join(f"  - {each}" for each in found))
    os.environ["PATH"] = _path()


def check_rights() -> None:
    """Raises LabError for whoever may not take the lab down."""
    if os.geteuid() != 0:
        raise LabError("what the lab is made of belongs to root: run it as root")
    os.environ["PATH"] = _path()


def _path() -> str:
    usual = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join((*usual, *(each for each in _SYSTEM_FOLDERS if each not in usual)))


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


if __name__ == "__main__":
    # For scripts that install them.
    print(*missing_packages())
