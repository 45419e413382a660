"""What the benchmarks share: processes timed as wholes, peers in environments of their own, one way to print."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[1]
PLIMSOLL = [sys.executable, "-m", "plimsoll"]


class Timing(Struct, frozen=True, kw_only=True):
    """Seconds of one process with all its children: on the clock, and of processor time."""

    wall: float
    cpu: float


def users_environment() -> dict[str, str]:
    """The environment variables, but the one that has every start compile every module: users keep the bytecode."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed(argv: Sequence[str], directory: Path, environment: dict[str, str] | None = None) -> Timing:
    """Run a command to its end. Raises SystemExit with its output when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    ended = subprocess.run(
        argv,
        cwd=directory,
        env={**users_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(argv)} ended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(wall=wall, cpu=cpu)


def _environment(requirements: Sequence[str]) -> Path:
    name = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:16]
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plimsoll" / "peers" / name


def peer_if_made(requirements: Sequence[str]) -> Path | None:
    """The python of a peer's environment, if `peer` has made it before."""
    base = _environment(requirements)
    return base / "bin" / "python" if (base / "complete").exists() else None


def peer(requirements: Sequence[str]) -> Path:
    """The python of an environment with a peer's packages in it, made once and kept in the cache."""
    base = _environment(requirements)
    python = base / "bin" / "python"
    if not (base / "complete").exists():
        print(f"  making an environment with {', '.join(requirements)} …", flush=True)
        subprocess.run([*uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(base)], check=True)
        subprocess.run([*uv(), "pip", "install", "--quiet", "--python", str(python), *requirements], check=True)
        (base / "complete").touch()
    return python


def uv() -> list[str]:
    """The installer that is on PATH or beside this interpreter."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        sys.exit("uv was not found: run scripts/setup test")
    return [found]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def verdict(name: str, value: float, limit: float, unit: str, *, at_least: bool = False) -> bool:
    """Print one figure beside its limit; true when it keeps it."""
    kept = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    print(f"  {'kept  ' if kept else 'MISSED'} {name}: {value:.3g} {unit} (limit {sign} {limit:g} {unit})", flush=True)
    return kept
