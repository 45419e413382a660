"""Keeps the code of trainings as it is when a run begins, for the versions that they come to.

Only what counted as code for the key is kept, and of that neither data nor what may hold credentials: a version is
passed on to others.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from plimsoll.engine.revision import revision_of
from plimsoll.evidence.secrets import holds_secret
from plimsoll.files import open_regular
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.train import TrainResult
from plimsoll.planning.steps import Plan
from plimsoll.state.code_files import CodeFiles
from plimsoll.state.directory import StateDirectory

LARGEST = 1 << 20
"""Bytes of a file that is kept: a larger one is data."""
_DATA = frozenset(
    """
    .arrow .avi .bin .bz2 .ckpt .csv .db .feather .gguf .gif .gz .h5 .hdf5 .jpeg .jpg .jsonl .joblib .mp3 .mp4 .npy .npz
    .onnx .orc .parquet .pickle .pkl .png .pt .pth .safetensors .sqlite .tar .tgz .tif .tiff .tsv .wav .xlsx .xz .zip
    .zst
    """.split()  # noqa: SIM905 - a list of words reads better than a list of strings
)
_SECRET_NAMES = (
    *(".env", ".env.*", "*.env", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".htpasswd", "id_rsa*", "id_ed25519*"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.tfvars", "kubeconfig", "*.kubeconfig"),
    *("credentials", "credentials.*", "*secret*.json", "*secret*.y*ml", "*secret*.toml", "*secret*.ini", "secrets"),
)


def keep_code(plan: Plan, state: StateDirectory, directory: Path) -> None:
    """Keep the files of all trainings of a plan that are not registered yet, and the commit that they begin with."""
    kept = CodeFiles(state.code)
    for step in plan.steps:
        there = state.on(step.target)
        if not isinstance(step.work, Register) or there.result(step.key, RegisterResult) is not None:
            continue
        files = {part.name: part.digest for part in step.work.lineage if part.kind == "code"}
        # A disk that is full keeps no code; the run goes on as long as it can.
        with contextlib.suppress(OSError):
            _keep(kept, directory, files)
            key = step.work.train_key
            if kept.revision(key) is None or there.result(key, TrainResult) is None:
                kept.note_revision(key, revision_of(directory, files))


def _keep(kept: CodeFiles, directory: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        if kept.has(digest):
            continue
        content = _content(directory / name)
        if reason := _reason(name, content, digest):
            kept.leave_out(digest, reason)
        elif content is not None:
            kept.keep(digest, content)


def _content(path: Path) -> bytes | None:
    try:
        with open_regular(path) as file:
            return file.read(LARGEST + 1)
    except OSError:
        return None


def _reason(name: str, content: bytes | None, digest: str) -> str:
    """Why a file is not kept; empty for one that is."""
    path = PurePosixPath(name)
    if content is None:
        return "it could not be read"
    if any(fnmatch.fnmatch(path.name.lower(), pattern) for pattern in _SECRET_NAMES):
        return "by its name it may hold credentials"
    if path.suffix.lower() in _DATA:
        return "it is data"
    if len(content) > LARGEST:
        return f"it is larger than {LARGEST >> 20} MiB"
    if hashlib.sha256(content).hexdigest() != digest:
        return "it was changed while the run began"
    if holds_secret(content.decode(errors="replace")):
        return "it holds what looks like a credential"
    return ""
