"""Runs programs of the host: ip, nft, mount, losetup, kubectl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError


def run(
    *command: str | Path, stdin: str | None = None, limit: float = 60.0, environment: dict[str, str] | None = None
) -> str:
    """Runs `command` and returns its output. Raises LabError with its message when it fails or exceeds `limit` s."""
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, timeout=limit, env=environment, check=False
        )
    except FileNotFoundError:
        raise LabError(f"program '{words[0]}' is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"'{' '.join(words)}' did not end within {limit:.0f} s") from None
    if done.returncode != 0:
        raise LabError(f"'{_shortened(words)}' failed: {(done.stderr.strip() or done.stdout.strip())[-2000:]}")
    return done.stdout


def succeeds(*command: str | Path, limit: float = 60.0) -> bool:
    """Whether `command` succeeds. For checks, and for removals of what may already be gone."""
    try:
        run(*command, limit=limit)
    except LabError:
        return False
    return True


def _shortened(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text if len(text) < 300 else text[:300] + " …"
