"""The lab's requirements on the machine, checked before the lab creates anything."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lab.build.go import go_program
from lab.errors import LabError

# Each program with its Debian package.
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
# These folders are not on every user's PATH.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def missing() -> list[str]:
    """Every unmet requirement, each with its remedy; empty when the lab can run."""
    found = []
    if not sys.platform.startswith("linux"):
        return [f"Linux, for network namespaces, cgroups and containers; this system is {sys.platform}"]
    if os.geteuid() != 0:
        found.append("root, for namespaces, mounts and cgroups: run the lab as root")
    try:
        go_program()
    except LabError:
        found.append("Go 1.26 or newer, to build Kubernetes from source: go.dev/doc/install, or 'python -m lab build'")
    if packages := missing_packages():
        found.append(f"programs: on Debian, apt-get install {' '.join(packages)}")
    if not Path("/sys/fs/cgroup").is_dir() or not os.access("/sys/fs/cgroup", os.W_OK):
        found.append("writable cgroups at /sys/fs/cgroup")
    if _memory() < MEMORY_WANTED:
        found.append(f"{MEMORY_WANTED >> 30} GiB of memory; this machine has {_memory() / (1 << 30):.1f} GiB")
    return found


def missing_packages() -> list[str]:
    """The Debian packages of the missing programs."""
    path = _path()
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None]
    if not any(Path(folder, "ptp").exists() for folder in ("/usr/lib/cni", "/opt/cni/bin")):
        packages.append("containernetworking-plugins")
    return packages


def check() -> None:
    """Raises LabError with every unmet requirement. Else adds the system folders of the programs to PATH."""
    found = missing()
    if found:
        raise LabError("the lab cannot run here. It needs:\n" + "\n".join(f"  - {each}" for each in found))
    os.environ["PATH"] = _path()


def check_rights() -> None:
    """Raises LabError for a user who may not remove the lab."""
    if os.geteuid() != 0:
        raise LabError("only root can remove the lab: run 'down' as root")
    os.environ["PATH"] = _path()


def _path() -> str:
    usual = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join((*usual, *(each for each in _SYSTEM_FOLDERS if each not in usual)))


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


if __name__ == "__main__":
    # For scripts that install the packages.
    print(*missing_packages())
