"""The lines of the audit log as bytes. Most requests differ in their time alone: what they share is written once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime

import msgspec

from plimsoll.runtime.server.observers import INFERENCE, Answer
from plimsoll.runtime.server.recording import OK
from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.request_lines import audit_line

MOST_KNOWN = 4096
"""Parts of lines that are kept; callers and shapes are the clients' to choose."""


class AuditLines:
    """Writes lines; those of answered inferences without payloads from parts that are kept."""

    def __init__(self, *, payloads: bool) -> None:
        self._payloads = payloads
        self._second = -1
        self._written = b""
        self._known: dict[Hashable, bytes] = {}

    def line(self, answer: Answer, trace: str) -> bytes:
        """The line of an answer, as JSON without a line end: `audit_line` says what it holds."""
        if (
            self._payloads
            or answer.status != OK
            or answer.event != INFERENCE
            or answer.generated is not None
            or answer.headers
            or answer.id
            or answer.reason
            or trace
        ):
            return msgspec.json.encode(audit_line(answer, trace, payloads=self._payloads))
        tensors = (_shape(answer.inputs), _shape(answer.outputs))
        key = (answer.client, answer.caller, answer.model, answer.version, answer.digest, tensors)
        rest = self._known.get(key)
        if rest is None:
            rest = self._learn(key, answer)
        return b'{"at":"%b%06dZ"%b' % (self._at(answer.began), int(answer.began % 1 * 1e6), rest)

    def _at(self, began: float) -> bytes:
        second = int(began)
        if second != self._second:
            self._second, self._written = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.".encode()
        return self._written

    def _learn(self, key: Hashable, answer: Answer) -> bytes:
        """What stands after the time in the lines that are alike."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        line = audit_line(answer, "", payloads=False)
        del line["at"]
        rest = self._known[key] = b"," + msgspec.json.encode(line)[1:]
        return rest


def _shape(arrays: Mapping[str, Array]) -> Hashable:
    # A data type by its number: the strings of one type may be of any length.
    return tuple((name, array.dtype.num, array.shape) for name, array in arrays.items())
