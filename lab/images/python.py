"""A base image with this machine's Python: interpreter, standard library, their shared libraries, and a shell.

Pods of the lab run Python in it, as the lab cannot fetch images. Wheels find the libraries that manylinux guarantees.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.build.folders import cache_folder
from lab.commands import run
from lab.errors import LabError
from lab.files import write
from lab.images.archive import Image
from lab.images.libraries import with_libraries
from lab.images.names import qualified_name
from lab.images.store import find_program

_LEFT_OUT = ("site-packages", "dist-packages", "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo")
_LEFT_OUT_TOO = ("ensurepip", "lib2to3", "config-*", "_tkinter*", "_test*", "_xx*")
# The policy of manylinux: libraries that wheels use and do not contain.
_MANYLINUX = (
    *("libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1", "libresolv.so.2"),
    *("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1", "libmvec.so.1", "libz.so.1"),
)
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSWD = "root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/tmp:/bin/sh\n"
_GROUP = "root:x:0:\nnonroot:x:65532:\n"
_PRINT_VERSION = (
    "import json, platform, sysconfig as s; print(json.dumps([platform.python_version(), s.get_path('stdlib')]))"
)


def python_base(name: str = "", interpreter: Path | None = None) -> Image:
    """The image of `interpreter`, by default of the running Python. Its default name is `python:3.11` or the like."""
    program = (
        interpreter or Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    ).resolve()
    version, library = _version_and_library(program)
    minor = ".".join(version.split(".")[:2])
    staged = _stage_library(program, version, Path(library), minor)
    busybox = find_program("busybox", "busybox-static")
    files = {
        f"usr/local/lib/python{minor}": staged / "lib" / f"python{minor}",
        "etc": staged / "etc",
        "bin/busybox": busybox,
        **_shared_libraries(program, Path(library)),
        f"usr/local/bin/python{minor}": program,
    }
    environment = {"PYTHON_VERSION": version, "LANG": "C.UTF-8"}
    if _AUTHORITIES.exists():
        files[str(_AUTHORITIES).lstrip("/")] = _AUTHORITIES
        environment["SSL_CERT_FILE"] = str(_AUTHORITIES)
    commands = [command for command in run(busybox, "--list").split() if command != "busybox"]
    links = {f"bin/{command}": "busybox" for command in commands}
    links |= {f"usr/local/bin/{other}": f"python{minor}" for other in ("python", "python3")}
    links |= {"usr/bin/env": "/bin/busybox"}
    return Image(
        (qualified_name(name or f"python:{minor}"),),
        files,
        command=("python3",),
        links=links,
        user="65532:65532",
        environment=environment,
    )


def _version_and_library(program: Path) -> tuple[str, str]:
    found = subprocess.run(
        [program, "-I", "-c", _PRINT_VERSION], capture_output=True, text=True, check=False, timeout=30
    )
    if found.returncode != 0:
        raise LabError(f"{program} is not a working Python: {found.stderr[-300:]}")
    version, library = json.loads(found.stdout)
    return version, library


def _stage_library(program: Path, version: str, library: Path, minor: str) -> Path:
    """Copies the standard library without parts that pods do not need, compiled so that file times do not matter."""
    folder = cache_folder() / "python-base" / f"{version}-{library.stat().st_mtime_ns}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        target = folder / "lib" / f"python{minor}"
        shutil.copytree(library, target, ignore=shutil.ignore_patterns(*_LEFT_OUT, *_LEFT_OUT_TOO), symlinks=True)
        arguments = ("-m", "compileall", "-q", "-j0", "--invalidation-mode", "unchecked-hash")
        run(program, *arguments, "-s", folder / "lib", "-p", "/usr/local/lib", target, limit=300)
        for name, content in {"passwd": _PASSWD, "group": _GROUP, "nsswitch.conf": "hosts: files dns\n"}.items():
            write(folder / "etc" / name, content)
        write(folder / "complete", "")
    return folder


def _shared_libraries(program: Path, library: Path) -> dict[str, Path]:
    """Every shared library at a path that the loader searches by default. Libraries of other folders move there."""
    found: dict[str, Path] = {}
    for each in [program, *sorted((library / "lib-dynload").glob("*.so"))]:
        if not each.name.startswith(("_tkinter", "_test", "_xx")):
            found |= {path: file for path, file in with_libraries(each, "").items() if path}
    for each in _manylinux_libraries():
        found |= with_libraries(each, str(each).lstrip("/"))
    loader = next(path for path in found if Path(path).name.startswith("libc.so"))
    usual = str(Path(loader).parent)
    return {
        path if path.startswith(("lib", "usr/lib")) else f"{usual}/{Path(path).name}": file
        for path, file in found.items()
    }


def _manylinux_libraries() -> Iterator[Path]:
    known = run("ldconfig", "-p")
    for name in _MANYLINUX:
        for line in known.splitlines():
            if line.strip().startswith(f"{name} ") and "x86-64" in line:
                yield Path(line.rpartition("=> ")[2])
                break
