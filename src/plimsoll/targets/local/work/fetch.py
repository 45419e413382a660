"""Fetches a source: a path on this machine is used in place, an address is downloaded once."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import IO

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.kinds.dataset import Fetch, FetchResult
from plimsoll.runtime.outputs import files_in
from plimsoll.state.results import OutputFile
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt

CONNECT_LIMIT = 30.0
"""Seconds without data after which a download fails."""
CHUNK = 1 << 20


def fetch(attempt: LocalAttempt[Fetch]) -> Progress:
    """Fetch the source and compare it with its digest, if the file has one."""
    yield from ()
    work = attempt.work
    if "://" not in work.source:
        return _use_in_place(attempt, work)
    import urllib.parse

    path = attempt.output / (Path(urllib.parse.urlsplit(work.source).path).name or "data")
    digest = _download(attempt, work.source, path)
    if attempt.stopped:
        return STOPPED
    if work.sha256 and digest != work.sha256:
        return failed(_digest_mismatch(work.source, digest, work.sha256), lasting=True)
    final = attempt.context.state.output(attempt.step.key) / path.name
    return done(FetchResult(outputs=files_in(attempt.output), path=str(final), sha256=digest))


def _use_in_place(attempt: LocalAttempt[Fetch], work: Fetch) -> AttemptOutcome:
    path = (attempt.context.directory / work.source).resolve()
    digest = attempt.step.ingredients[0].digest
    if work.sha256 and digest != work.sha256:
        return failed(_digest_mismatch(work.source, digest, work.sha256), lasting=True)
    if path.is_dir():
        outputs: tuple[OutputFile, ...] = ()
    elif path.is_file():
        outputs = (OutputFile(name=path.name, path=str(path), size=path.stat().st_size),)
    else:
        raise TargetError("the source does not exist", where=str(path), hint="correct `source` in the file")
    return done(FetchResult(outputs=outputs, path=str(path), sha256=digest))


def _download(attempt: LocalAttempt[Fetch], source: str, path: Path) -> str:
    """Download an address to `path`; returns the SHA-256 of its content."""
    digest = hashlib.sha256()
    try:
        with _open(source) as stream, path.open("wb") as file:
            while chunk := stream.read(CHUNK):
                if attempt.stopped:
                    break
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        free = shutil.disk_usage(path.parent).free
        raise TargetError(
            f"cannot download: {error}",
            where=source,
            hint=f"check the address and the network; {free / 2**30:.1f} GiB are free on the disk",
        ) from error
    return digest.hexdigest()


def _open(source: str) -> IO[bytes]:
    if source.startswith(("https://", "http://")):
        import urllib.request

        return urllib.request.urlopen(source, timeout=CONNECT_LIMIT)  # type: ignore[no-any-return]  # noqa: S310 - the line above checks the scheme
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("s3" if source.startswith("s3:") else "gcs", f"the source {source}") from None
    return fsspec.open(source, "rb").open()  # type: ignore[no-any-return]


def _digest_mismatch(source: str, digest: str, expected: str) -> str:
    return f"{source} has sha256 {digest}, but the file requires {expected}: the data or the digest is wrong"
