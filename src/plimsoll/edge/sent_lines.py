"""The answers in the audit logs that devices have sent, as tensors, with their times by the owner's clock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.choosing import in_sample
from plimsoll.edge.documents import Device, UploadRule
from plimsoll.errors import FileError
from plimsoll.runtime.tensors import Array, BadTensor, from_json
from plimsoll.telemetry.drift.pending import Label


class _Tensor(Struct, frozen=True, kw_only=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[bool | int | float | str | None] | None = None


@decodable
class _Line(Struct, frozen=True, kw_only=True):
    at: datetime
    event: str
    model: str = ""
    version: str = ""
    digest: str = ""
    status: int = 200
    inputs: list[_Tensor] = []
    outputs: list[_Tensor] = []
    id: str = ""
    request_id: str = ""


class Sent(Struct, frozen=True, kw_only=True):
    """An answer: its tensors are None where the log does not hold all of their values."""

    at: datetime
    model: str
    version: str
    digest: str
    id: str
    rows: int
    inputs: Mapping[str, Array] | None
    outputs: Mapping[str, Array] | None


@decodable
class _Label(Struct, frozen=True):
    id: str
    label: str | int | float
    row: int = 0


def sent_by(device: Device, logs: Path, rule: UploadRule, since: datetime) -> Iterator[Sent]:
    """The answers of a device since a time, oldest file first; of a log of which a part is sent, those of the sample.

    Raises FileError for a log that cannot be read.
    """
    report = device.report
    ahead = report.at - device.heard if report is not None and device.heard is not None else timedelta()
    for path in sorted((logs / device.name).glob("*-audit.jsonl")):
        try:
            with path.open("rb") as file:
                for content in file:
                    found = _sent(content.rstrip(b"\n"), rule, ahead)
                    if found is not None and found.at >= since:
                        yield found
        except OSError as error:
            raise FileError(f"the log cannot be read: {error.strerror}", where=str(path)) from error


def _sent(content: bytes, rule: UploadRule, ahead: timedelta) -> Sent | None:
    if not rule.all and not in_sample(content, rule):
        return None
    try:
        line = msgspec.json.decode(content, type=_Line)
    except UNREADABLE:
        return None
    if line.event != "inference" or line.status != 200 or not line.inputs:
        return None
    inputs, outputs = _arrays(line.inputs), _arrays(line.outputs)
    shape = line.inputs[0].shape
    return Sent(
        at=line.at - ahead,
        model=line.model,
        version=line.version,
        digest=line.digest,
        id=line.id or line.request_id,
        rows=shape[0] if shape else 1,
        inputs=inputs if outputs is not None else None,
        outputs=outputs if inputs is not None else None,
    )


def _arrays(tensors: list[_Tensor]) -> dict[str, Array] | None:
    found = {}
    for each in tensors:
        if each.data is None or len(each.data) != math.prod(each.shape) or not each.shape:
            return None
        try:
            found[each.name] = from_json(each.data, each.datatype, each.shape)
        except BadTensor:
            return None
    return found


def read_labels(path: Path) -> dict[tuple[str, int], Label]:
    """Late labels, a line each: `{"id": "…", "label": "…", "row": 0}`. Of several for one row the first counts.

    Raises FileError with the line that is none.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise FileError(f"the labels cannot be read: {error.strerror}", where=str(path)) from error
    found: dict[tuple[str, int], Label] = {}
    for number, line in enumerate(lines, start=1):
        try:
            label = msgspec.json.decode(line, type=_Label) if line.strip() else None
        except UNREADABLE as error:
            hint = 'write each label on a line of its own: {"id": "request-7", "label": "worn"}'
            raise FileError(f"this is no label: {error}", where=f"{path}:{number}", hint=hint) from error
        if label is not None:
            found.setdefault((label.id, label.row), label.label)
    return found
