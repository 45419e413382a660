"""What a registry can cost: seconds until a response begins, and bytes and seconds of its body.

The limits of the HTTP library hold between two bytes. A host that sends a byte now and then is within them for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import httpx2

ERROR_BYTES = 64 << 10
"""Bytes of an error's body that are read: a message for people is in the first of them."""
TOKEN_BYTES = 1 << 20
"""Largest response of a token service."""
BODY_LIMIT = 60.0
"""Seconds for the whole body of a manifest, a list, a token or an error."""
SLOWEST_RATE = 1 << 10
"""Bytes per second below which, on average over `BODY_LIMIT`, a blob counts as not sent at all."""


class TooMany(Exception):
    """A body has more bytes than are taken."""


def within(seconds: float, send: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The response of `send`, which has begun to arrive within `seconds`. Raises ReadTimeout otherwise.

    `send` runs in a thread, which is left alone when it is too late: nothing else ends a call that waits for a name, a
    handshake or the rest of a head.
    """
    found: Future[httpx2.Response] = Future()

    def run() -> None:
        try:
            answer = send()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread of the caller
            if found.set_running_or_notify_cancel():
                found.set_exception(error)
            return
        if found.set_running_or_notify_cancel():
            found.set_result(answer)
        else:
            answer.close()

    threading.Thread(target=run, daemon=True, name="registry").start()
    try:
        return found.result(seconds)
    except TimeoutError:
        if found.cancel():
            raise httpx2.ReadTimeout(f"no response within {seconds:g} s") from None
        return found.result()


def read_body(answer: httpx2.Response, most: int) -> bytes:
    """The bytes of a body as they are sent. Raises TooMany beyond `most` bytes, ReadTimeout after `BODY_LIMIT`."""
    body = bytearray()
    deadline = time.monotonic() + BODY_LIMIT
    for piece in answer.iter_raw():
        body += piece
        if len(body) > most:
            raise TooMany
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout(f"the body was not sent within {BODY_LIMIT:g} s")
    return bytes(body)


def read_error(answer: httpx2.Response) -> bytes:
    """The body of an error, empty when it cannot be read or is longer than `ERROR_BYTES`. Closes the response."""
    try:
        return read_body(answer, ERROR_BYTES)
    except (TooMany, httpx2.HTTPError):
        return b""
    finally:
        answer.close()


class Pace:
    """Checks that a large body arrives at `SLOWEST_RATE` at least, on average over each `BODY_LIMIT` seconds."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._bytes = 0

    def too_slow(self, received: int) -> bool:
        """Count bytes; whether there were too few of them in the last `BODY_LIMIT` seconds."""
        self._bytes += received
        seconds = time.monotonic() - self._since
        if seconds < BODY_LIMIT:
            return False
        slow = self._bytes < SLOWEST_RATE * seconds
        self._since, self._bytes = time.monotonic(), 0
        return slow
