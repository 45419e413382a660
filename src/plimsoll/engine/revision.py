"""The commit that an application's directory is at, and whether what is in it is what was committed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from plimsoll.state.code_files import Revision

LIMIT = 10.0
"""Seconds that git has for an answer; without one the commit is not known."""


def revision_of(directory: Path, files: Iterable[str]) -> Revision:
    """The revision of a directory; `files` are those of the code, relative to it."""
    commit = _git(directory, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return Revision()
    changed = _git(directory, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none")
    tracked = _git(directory, "ls-files", "-z", "--full-name", ":/")
    root = _git(directory, "rev-parse", "--show-toplevel")
    if changed is None or tracked is None or not root:
        return Revision(commit=commit)
    known = {f"{root}/{name}" for name in tracked.split("\0")}
    own = {os.path.normpath(f"{os.path.realpath(directory)}/{name}") for name in files}
    return Revision(commit=commit, dirty=bool(changed) or not own <= known)


def _git(directory: Path, *words: str) -> str | None:
    """What git answers, without the last line break; None when it refuses, or is not there."""
    # A repository may name programs for git to start; none of them is needed for an answer.
    argv = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(directory), *words]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        ended = subprocess.run(argv, capture_output=True, env=environment, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(ended.stdout).rstrip("\n") if ended.returncode == 0 else None
