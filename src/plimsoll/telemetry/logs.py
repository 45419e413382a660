"""Access and audit logs: a line of JSON for each answer. What a request carried is only written where that is asked.

The access log is for whoever runs the service, the audit log for whoever must later say who got which verdict of which
model: it has the model's digest and what the request was refused for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from plimsoll.errors import TargetError
from plimsoll.runtime.server.observers import Answer
from plimsoll.runtime.tensors import Array, datatype_of, to_json
from plimsoll.telemetry.requests import rows_of

WHO = ("x-forwarded-user", "x-auth-request-user", "x-remote-user")
"""Headers in which a proxy that authenticates says who asks. Credentials themselves are never looked at."""
REQUEST_ID = "x-request-id"
MOST_VALUES = 1000
"""Values of a tensor that a log with payloads has; of a longer one the first."""


class Lines:
    """A file that is appended to; `-` is standard output. A file that was moved away (logrotate) is opened anew."""

    def __init__(self, path: str) -> None:
        """Raises TargetError when it cannot be written."""
        self.path = path
        self._file: IO[bytes] | None = None
        self._open()

    def write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines in one write, so that those of several processes do not mix."""
        if not lines:
            return
        content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        if self._file is None:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        try:
            moved = os.fstat(self._file.fileno()).st_ino != Path(self.path).stat().st_ino
        except FileNotFoundError:
            moved = True
        if moved:
            self.close()
            self._open()
        self._file.write(content)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        if self.path == "-":
            return
        try:
            self._file = Path(self.path).open("ab", buffering=0)  # noqa: SIM115 - it stays open
        except OSError as error:
            raise TargetError(f"the log cannot be written: {error.strerror}", where=self.path) from error


def access_line(answer: Answer, trace: str) -> dict[str, Any]:
    """One request for whoever runs the service."""
    line: dict[str, Any] = {
        "at": _at(answer),
        "event": "request",
        "model": answer.model,
        "version": answer.version,
        "status": answer.status,
        "seconds": round(answer.seconds, 6),
        "rows": rows_of(answer),
        "client": answer.client,
    }
    if answer.batch > 1:
        line["batch"] = answer.batch
    if answer.shadow:
        line["shadow"] = True
    return line | _identity(answer, trace) | ({"reason": answer.reason} if answer.reason else {})


def audit_line(answer: Answer, trace: str, *, payloads: bool) -> dict[str, Any]:
    """One request for whoever must answer for it: who asked which bytes of a model, and what came of it."""
    line: dict[str, Any] = {
        "at": _at(answer),
        "event": "inference",
        "who": {"client": answer.client, "user": _user(answer)},
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
        "verdict": verdict(answer.status),
        "status": answer.status,
        "inputs": _tensors(answer.inputs, payloads),
        "outputs": _tensors(answer.outputs, payloads),
    }
    return line | _identity(answer, trace) | ({"reason": answer.reason} if answer.reason else {})


def verdict(status: int) -> str:
    """`answered`, `refused` (the request's fault) or `failed` (the service's)."""
    return "answered" if status < 400 else "refused" if status < 500 else "failed"


class Logs:
    """Both logs; a path that is empty switches one off."""

    def __init__(self, access: str, audit: str, *, payloads: bool, trace_of: Callable[[Answer], str]) -> None:
        """Raises TargetError when a log cannot be written."""
        self._access = Lines(access) if access else None
        self._audit = Lines(audit) if audit else None
        self._payloads = payloads
        self._trace_of = trace_of

    def answered(self, answers: Sequence[Answer]) -> None:
        """Write a line for each answer."""
        if self._access is not None:
            self._access.write([access_line(answer, self._trace_of(answer)) for answer in answers])
        if self._audit is not None:
            told = [answer for answer in answers if not answer.shadow]
            self._audit.write([audit_line(answer, self._trace_of(answer), payloads=self._payloads) for answer in told])

    def close(self) -> None:
        """Close the files."""
        for lines in (self._access, self._audit):
            if lines is not None:
                lines.close()


def _at(answer: Answer) -> datetime:
    return datetime.fromtimestamp(answer.began, UTC)


def _user(answer: Answer) -> str | None:
    return next((answer.headers[name] for name in WHO if answer.headers.get(name)), None)


def _identity(answer: Answer, trace: str) -> dict[str, str]:
    told = {"id": answer.id, "request_id": answer.headers.get(REQUEST_ID), "trace_id": trace}
    return {name: value for name, value in told.items() if value}


def _tensors(arrays: Mapping[str, Array], payloads: bool) -> list[dict[str, Any]]:
    described = []
    for name, array in arrays.items():
        tensor: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
        if payloads:
            tensor["data"] = to_json(array.ravel()[:MOST_VALUES])
        described.append(tensor)
    return described
