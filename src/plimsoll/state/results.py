"""The result of a step as it is stored: `result.json` beside the step's files, and the journal's record of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct


class OutputFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that a step left. `size` is in bytes.

    `name` is relative to the step's output directory. `path` is absolute and present only for a file that is used
    where it is, such as a local source.
    """

    name: str
    size: int
    path: str | None = None


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every finished step leaves: its files, and the figures of its metrics.json by name.

    Each kind of work adds fields in a subclass of its own. Unknown fields of a stored result are ignored, so that a
    newer version's results stay readable.
    """

    outputs: tuple[OutputFile, ...] = ()
    metrics: Mapping[str, float] = {}

    def figure(self) -> str:
        """The most telling figure, for the line of a step in the terminal and in the report."""
        figures = [(name, value) for name, value in self.metrics.items() if not name.startswith("baseline_")]
        return ", ".join(f"{name} {value:.4g}" for name, value in figures[:3])

    def summary(self) -> Mapping[str, object] | None:
        """What `--json` prints in the section of the part's kind; None for a result without an entry there."""
        return None


AnyResult = TypeVar("AnyResult", bound=Result)


def stored(result: Result) -> dict[str, Any]:  # Any: JSON values
    """A result as plain values for the journal and for result.json."""
    values: dict[str, Any] = msgspec.to_builtins(result)
    return values


def restored(values: Mapping[str, Any], shape: type[AnyResult]) -> AnyResult | None:  # Any: JSON values
    """The result that plain values stand for; None when they are not of this shape."""
    try:
        return msgspec.convert(values, type=shape)
    except msgspec.ValidationError:
        return None
