"""Which lines of a device's logs are worth their bytes: samples, what the model was unsure of, what changed. Pure.

Every line of which a rule says nothing is sent: refusals, failures, and the log's own lines. What a rule chooses
depends on the lines alone, so that a device that was cut off chooses the same again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.documents import UploadRule

_ANSWERED = {"inference", "request"}
_TOGETHER = 0.01
"""How far the probabilities of a row may be from 1 together."""


class _Tensor(Struct, frozen=True, kw_only=True):
    name: str = ""
    datatype: str = ""
    shape: tuple[int, ...] = ()
    data: list[bool | float | str | None] | None = None


@decodable
class _Line(Struct, frozen=True, kw_only=True):
    event: str = ""
    status: int = 200
    outputs: list[_Tensor] = []


class Choice:
    """Chooses the lines of one file of a log, in their order. The first answer of a file is one that changed."""

    def __init__(self, rule: UploadRule) -> None:
        self._rule = rule
        self._before: list[_Tensor] | None = None

    def wants(self, content: bytes) -> bool:
        """Whether a line is sent."""
        rule = self._rule
        if rule.all:
            return True
        try:
            line = msgspec.json.decode(content, type=_Line)
        except UNREADABLE:
            return True
        if line.event not in _ANSWERED or line.status >= 400:
            return rule.send
        if not rule.send:
            return False
        wanted = in_sample(content, rule)
        if rule.uncertain is not None and not wanted:
            wanted = margin(line.outputs) < rule.uncertain
        if rule.changed is not None and line.outputs:
            differs = self._before is None or _differ(self._before, line.outputs, rule.changed)
            wanted = wanted or differs
            if differs:
                self._before = line.outputs
        return wanted


def in_sample(content: bytes, rule: UploadRule) -> bool:
    """Whether a line is in the sample, whatever other rules ask for: the sample alone is like all lines."""
    return rule.sample is not None and _place(content) < rule.sample


def margin(outputs: Sequence[_Tensor]) -> float:
    """The least distance between the two greatest probabilities of a row; infinite where there are no probabilities."""
    return min((_row_margin(row) for tensor in outputs for row in _rows(tensor)), default=math.inf)


def _rows(tensor: _Tensor) -> Iterator[list[float]]:
    """The whole rows of a tensor of floating numbers that a log holds."""
    if not tensor.datatype.startswith(("FP", "BF")) or not tensor.shape or not tensor.data:
        return
    width = math.prod(tensor.shape[1:])
    numbers = [math.nan if isinstance(each, str) or each is None else float(each) for each in tensor.data]
    for start in range(0, len(numbers) - width + 1, width) if width else ():
        yield numbers[start : start + width]


def _row_margin(row: Sequence[float]) -> float:
    if any(math.isnan(each) for each in row):
        return 0.0
    if not all(-_TOGETHER <= each <= 1 + _TOGETHER for each in row):
        return math.inf
    if len(row) == 1:
        return abs(2 * row[0] - 1)
    if abs(sum(row) - 1) > _TOGETHER:
        return math.inf
    first, second = sorted(row)[-1:-3:-1]
    return first - second


def _differ(one: Sequence[_Tensor], other: Sequence[_Tensor], tolerance: float) -> bool:
    known: Mapping[str, _Tensor] = {each.name: each for each in one}
    return len(one) != len(other) or any(
        each.name not in known or _tensor_differs(known[each.name], each, tolerance) for each in other
    )


def _tensor_differs(one: _Tensor, other: _Tensor, tolerance: float) -> bool:
    if one.shape != other.shape or one.datatype != other.datatype:
        return True
    for each, now in zip(one.data or (), other.data or (), strict=False):
        if isinstance(each, float) and isinstance(now, float) and not isinstance(each, bool):
            if not abs(each - now) <= tolerance:
                return True
        elif each != now:
            return True
    return len(one.data or ()) != len(other.data or ())


def _place(content: bytes) -> float:
    """A number from 0 to 1 that a line gives."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64
