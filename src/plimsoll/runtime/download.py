"""Downloads one file in pieces: a broken connection is continued, and only a whole file counts as done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.runtime.sources import Identity, Source, TransientSourceError

TRIES = 6
"""Failures in a row, without a byte of progress, after which a source is given up."""

PAUSE = 0.05
"""Seconds before a source is tried again, doubled with each failure."""


def download(
    where: Source,
    part: Path,
    identity: Identity,
    *,
    pinned: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    goes_on: bool = False,
) -> int:
    """Download the bytes that `part` lacks. Returns the number of received bytes, and earlier when `stopped`.

    `pinned` says that the caller compares the content with a digest, `goes_on` that `part` stays for the next run, and
    an error then says so. Raises TargetError for a source that cannot be read whole or does not say where it ends, and
    OSError for a problem of the disk.
    """
    fetched = failures = 0
    with part.open("ab") as file:
        while not (identity.validator and file.tell() and file.tell() == identity.size):
            before = file.tell()
            try:
                with where.read(before, identity) as reading:
                    if not reading.has_end and not pinned:
                        raise _endless_error(where.url)
                    file.truncate(reading.offset)
                    file.seek(reading.offset)
                    for piece in reading.pieces:
                        fetched += len(piece)
                        file.write(piece)
                        if stopped():
                            return fetched
                if reading.size in (None, file.tell()):
                    break
                if file.tell() > reading.size:
                    size = file.tell()
                    file.truncate(0)
                    raise fetch_error(where.url, f"the source sent {size} bytes, expected {reading.size}")
                reason = f"the response ended after {file.tell()} of {reading.size} bytes"
            except TransientSourceError as error:
                reason = str(error)
            failures = 1 if file.tell() > before else failures + 1
            if failures >= TRIES:
                raise fetch_error(where.url, reason, goes_on=goes_on and file.tell() > 0)
            if stopped():
                return fetched
            time.sleep(PAUSE * 2**failures)
        file.flush()
        os.fsync(file.fileno())
    return fetched


def identity_with_retries(where: Source, stopped: Callable[[], bool] = lambda: False) -> Identity:
    """The identity of a source's content. Raises TargetError when it does not answer, after one try when `stopped`."""
    attempt = 1
    while True:
        try:
            return where.identity()
        except TransientSourceError as error:
            if attempt == TRIES or stopped():
                raise fetch_error(where.url, str(error)) from error
            time.sleep(2 * PAUSE * 2**attempt)
            attempt += 1


def fetch_error(url: str, reason: str, *, goes_on: bool = False) -> TargetError:
    """The error for a source that cannot be downloaded. `goes_on`: what came of it is kept."""
    hint = "check the URL and the network" + ("; the next run continues the download" if goes_on else "")
    return TargetError(f"cannot download the data: {reason}", where=url, hint=hint)


def _endless_error(url: str) -> TargetError:
    return TargetError(
        "the server does not say how long the data is, so that a part of it looks like all of it",
        where=url,
        hint="set `sha256` to the digest of the data, or use an address that sends Content-Length",
        lasting=True,
    )
