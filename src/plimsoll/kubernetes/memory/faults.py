"""What goes wrong on request: answers that fail, come late or never, and watches that break off."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from plimsoll.kubernetes.memory.refusals import StatusError
from plimsoll.kubernetes.memory.requests import Request

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def any_request(_: Request) -> bool:
    """The predicate of a fault that meets every request."""
    return True


class Fault(Struct, frozen=True, kw_only=True):
    """One kind of failure, for the next `times` requests that `when` is true of.

    `status` refuses with that code and `message`; `seconds` is how long the answer takes; `reset` breaks the connection
    off without an answer. With `text` the body is that and no Status, as of a proxy before the server.
    """

    when: Callable[[Request], bool] = any_request
    times: int = 1
    status: int = 0
    message: str = "made to fail by a test"
    reason: str = ""
    text: str = ""
    seconds: float = 0.0
    reset: bool = False

    def refusal(self) -> StatusError:
        """The Status of the failure."""
        return StatusError(self.status, self.reason or _REASONS.get(self.status, "Unknown"), self.message)


class Faults:
    """The faults of a cluster, in the order in which they were asked for. Can be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[list[Fault]] = []

    def add(self, fault: Fault) -> None:
        """Have a fault meet the next requests that it fits."""
        with self._lock:
            self._waiting.append([fault] * fault.times)

    def clear(self) -> None:
        """Forget faults that have met no request yet."""
        with self._lock:
            self._waiting.clear()

    def next(self, request: Request) -> Fault | None:
        """The fault that meets a request; it is used up by it."""
        with self._lock:
            for left in self._waiting:
                if left and left[0].when(request):
                    return left.pop()
        return None
