"""Documents of a registry, whole and within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from plimsoll.errors import TargetError
from plimsoll.runtime.download import PAUSE, TRIES, fetch_error
from plimsoll.runtime.sources import Identity, Reading, TransientSourceError, open_source

MOST_BYTES = 32 << 20
"""Bytes of a document: the list of all files of a large project has a few MiB."""


Stopped = Callable[[], bool]


def document(url: str, stopped: Stopped, headers: Mapping[str, str] | None = None) -> bytes:
    """What an address answers. Raises TargetError, a lasting one for an answer that is no success.

    An address that does not answer is tried again, unless `stopped`.
    """
    for failure in range(1, TRIES + 1):
        try:
            return _once(url, headers or {})
        except TransientSourceError as error:
            if failure == TRIES or stopped():
                raise fetch_error(url, str(error)) from error
            time.sleep(PAUSE * 2**failure)
    raise AssertionError


def _once(url: str, headers: Mapping[str, str]) -> bytes:
    try:
        with open_source(url, headers).read(0, Identity(validator="", size=None)) as reading:
            return _whole(reading, url)
    except TargetError as error:
        hint = error.hint or "check the name, the version and the permission to read it"
        raise TargetError(error.message, where=url, hint=hint, lasting=True) from error


def _whole(reading: Reading, url: str) -> bytes:
    content = bytearray()
    for piece in reading.pieces:
        content += piece
        if len(content) > MOST_BYTES:
            raise TargetError(f"the answer has more than {MOST_BYTES >> 20} MiB", where=url)
    if reading.size not in (None, len(content)):
        raise TransientSourceError(f"the response ended after {len(content)} of {reading.size} bytes")
    return bytes(content)
