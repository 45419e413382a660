"""Answers by which an API server refuses: a Status object with a code, a reason and causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

Manifest = dict[str, Any]


class Cause(Struct, frozen=True, kw_only=True):
    """One reason among several, with the field that it is about."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class StatusError(Exception):
    """A request that ends in a Status. `code` is HTTP's; `causes` stand in the details."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        causes: Sequence[Cause] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details: Manifest = {
            key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value
        }
        if causes:
            self.details["causes"] = [
                {"reason": each.reason, "message": each.message, "field": each.field} for each in causes
            ]

    def status(self) -> Manifest:
        """The Status object of the answer."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def qualified(name: str, group: str) -> str:
    """A plural or a kind with its group, as messages name it."""
    return f"{name}.{group}" if group else name


def not_found(plural: str, name: str, group: str = "") -> StatusError:
    """404 for one object."""
    message = f'{qualified(plural, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, name=name, group=group, kind=plural)


def exists(plural: str, name: str, group: str = "") -> StatusError:
    """409 for a second object of the same name."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=plural)


def conflict(plural: str, name: str, group: str, why: str) -> StatusError:
    """409 for a change that is built on an older state."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, name=name, group=group, kind=plural)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, name: str, group: str, causes: Sequence[Cause]) -> StatusError:
    """422 for an object that is not valid. Raised with one cause or more."""
    words = [f"{each.field}: {each.message}" for each in causes]
    told = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {told}'
    return StatusError(422, "Invalid", message, name=name, group=group, kind=kind, causes=causes)


def forbidden(plural: str, name: str, group: str, why: str, causes: Sequence[Cause] = ()) -> StatusError:
    """403, by rights, by admission or by a quota."""
    what = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    message = f"{what} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, name=name, group=group, kind=plural, causes=causes)


def bad_request(message: str) -> StatusError:
    """400 for what cannot be read."""
    return StatusError(400, "BadRequest", message)


def expired(message: str) -> StatusError:
    """410 for a resource version or a continue token that is no longer known."""
    return StatusError(410, "Expired", message)
