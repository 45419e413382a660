"""A process in which one area is attacked, so that nothing that an input does ends the benchmark.

`python -m benchmarks.hardening.worker AREA DIRECTORY SECONDS SEED` prints a line of JSON for each finding and each half
second. `… AREA DIRECTORY --again FILE` tries a kept input again, with its traceback.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import ipaddress
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from random import Random

from benchmarks.hardening.area import Area

AREAS = {
    "registry": "benchmarks.hardening.registry_area:RegistryArea",
    "file": "benchmarks.hardening.file_area:FileArea",
    "tables": "benchmarks.hardening.table_area:TableArea",
    "bundles": "benchmarks.hardening.bundle_area:BundleArea",
}
CURRENT = "current"
"""The file in the directory with the input that is being tried."""
ADDRESSES = 6 << 30
"""Bytes of addresses, of which a process reserves more than it uses."""
JUMP = 256 << 10
"""KiB of memory that one small input may not cost."""
SLOW = 5.0
"""Seconds of processor time that one small input may not cost."""


def main(argv: list[str]) -> None:
    """Run the area's cases, or one kept input."""
    sys.addaudithook(_stay_here)
    name, directory = argv[0], Path(argv[1])
    module, _, kind = AREAS[name].partition(":")
    area: Area = getattr(importlib.import_module(module), kind)(directory)
    if argv[2] == "--again":
        print(area.attempt(Path(argv[3]).read_bytes()) or "nothing is wrong")
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    _run(area, directory, float(argv[2]), Random(argv[3]))


def _run(area: Area, directory: Path, seconds: float, random: Random) -> None:
    end, told, cases = time.monotonic() + seconds, 0.0, 0
    current = directory / CURRENT
    while (now := time.monotonic()) < end:
        raw = area.made(random)
        current.write_bytes(raw)
        kind = _tried(area, raw)
        cases += 1
        if kind:
            print(json.dumps({"kind": kind, "input": raw.hex()}), flush=True)
        if now - told > 0.5:
            told = now
            print(json.dumps({"cases": cases, "peak": _peak() / 1024}), flush=True)
    print(json.dumps({"cases": cases, "peak": _peak() / 1024, "done": True}), flush=True)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _tried(area: Area, raw: bytes) -> str | None:
    from plimsoll.errors import PlimsollError

    began, before = time.process_time(), _peak()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            kind = area.attempt(raw)
    except PlimsollError as error:
        kind = _message_problem(error)
    except Exception as error:  # noqa: BLE001 - whatever an input makes the part raise is what is looked for
        kind = f"{type(error).__name__} at {_place(error)}"
    if kind is None and time.process_time() - began > SLOW:
        kind = f"it takes more than {SLOW:g} s of processor time"
    if kind is None and _peak() - before > JUMP:
        kind = f"it takes more than {JUMP >> 10} MiB of memory"
    return kind


def _message_problem(error: Exception) -> str | None:
    try:
        str(error).encode()
    except UnicodeEncodeError:
        return "a message that cannot be printed"
    return None


def _place(error: Exception) -> str:
    """The last line of Plimsoll in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/plimsoll/" in frame.filename] or list(frames)
    return f"{ours[-1].filename.rpartition('/plimsoll/')[2]}:{ours[-1].lineno}" if ours else "?"


def _stay_here(event: str, arguments: tuple[object, ...]) -> None:
    """Whatever an input names, nothing leaves this machine. Raises OSError instead."""
    host: object = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    if host is not None and not _is_here(host.decode("latin-1") if isinstance(host, bytes) else str(host)):
        raise OSError(f"the benchmark stays on this machine, and does not reach {host!r}")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main(sys.argv[1:])
