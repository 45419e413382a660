"""The reasons for which the data plane does not answer a request. Each front has one table from them to its statuses.

Refusal
├── BadInput          the request cannot be read, or the model cannot compute with its tensors: change the request
├── NotFound          the server has no model or version of this name
├── NotReady          the server knows the model, but no version of it can answer now: try again later
├── TooLarge          the request is larger than the server accepts
├── Unauthenticated   the server does not know who asks: send a token that is good
├── Forbidden         the caller may not do this: it changes the server and needs a token
├── TooMany           the caller asks for more than it may: try again after `retry_after` seconds
├── Conflict          the id of the request is that of another one
├── Busy              the model's queue is full: try again after `retry_after` seconds
├── DeadlinePassed    the model did not answer within the time limit of one inference
├── Failed            the user's own code, which serves as the model, failed: correct the code
├── Unservable        the list of models or a model file cannot be read or loaded: correct the file
└── Defect            an error in the server itself: its log has the traceback
"""

from __future__ import annotations

import sys
import traceback
from typing import ClassVar

GONE = 499
"""The code of a request whose client has gone before it was answered, as nginx counts it; no response has it."""


class Refusal(Exception):
    """A request that the server does not answer; the message is for the client.

    `retry_after` is in seconds; `None` when trying the same request again makes no sense or has no known time.
    """

    code: ClassVar[int]
    """The number in metrics and observations, the same for all fronts: the status that the HTTP front gives."""

    def __init__(self, reason: str, *, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BadInput(Refusal):
    """The request cannot be read, or the model cannot compute with its tensors."""

    code = 400


class NotFound(Refusal):
    """The server has no model or version of this name; the message lists the names that it has."""

    code = 404


class NotReady(Refusal):
    """The server knows the model, but no version of it can answer now."""

    code = 503

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason, retry_after=retry_after)


class TooLarge(Refusal):
    """The request is larger than `Limits.body`; fronts check this while they receive it."""

    code = 413


class Forbidden(Refusal):
    """The caller may not do this."""

    code = 403


class Unauthenticated(Refusal):
    """The server does not know who asks."""

    code = 401


class TooMany(Refusal):
    """The caller asks for more than it may."""

    code = 429


class Conflict(Refusal):
    """The id of the request is that of another one, which is still needed."""

    code = 409


class Busy(Refusal):
    """The model's queue is full."""

    code = 503


class DeadlinePassed(Refusal):
    """The model did not answer within `Limits.seconds`."""

    code = 504


class Failed(Refusal):
    """The user's own code, which serves as the model, ended, failed or gave what it may not."""

    code = 500


class Unservable(Refusal):
    """The list of models or a model file cannot be read or loaded."""

    code = 400


class Defect(Refusal):
    """An error in the server itself."""

    code = 500


def defect() -> Defect:
    """The refusal for the unexpected exception that is being handled; prints its traceback on standard error."""
    sys.stderr.write(f"this is a defect of plimsoll, please report it:\n{traceback.format_exc()}")
    return Defect("this is a defect of the server; its log has the details")
