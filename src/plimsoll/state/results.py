"""The result of a step as stored in `result.json` next to the step's files, and in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct


class OutputFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that a step wrote. `size` is in bytes.

    `name` is relative to the step's output directory. `path` is set only for a file that is used in place, such as a
    local source; it is relative to the application's directory.
    """

    name: str
    size: int
    path: str | None = None


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a finished step: its files, and the figures of its metrics.json by name.

    `notes` has a sentence for each thing that the step left and that was not taken, such as a figure that is NaN.
    Each kind of work adds fields in its own subclass. Unknown fields of a stored result are ignored, so that a
    newer version's results stay readable.
    """

    outputs: tuple[OutputFile, ...] = ()
    metrics: Mapping[str, float] = {}
    notes: tuple[str, ...] = ()

    def figure(self) -> str:
        """The most important figures, for the line of a step in the terminal and in the report."""
        figures = [(name, value) for name, value in self.metrics.items() if not name.startswith("baseline_")]
        return ", ".join(f"{name} {value:.4g}" for name, value in figures[:3])

    def summary(self) -> Mapping[str, object] | None:
        """The entry that `--json` prints in the section of the part's kind; None for a result without an entry."""
        return None


AnyResult = TypeVar("AnyResult", bound=Result)


def result_to_json(result: Result) -> dict[str, object]:
    """Convert a result to plain values for the journal and for result.json."""
    values: dict[str, object] = msgspec.to_builtins(result)
    return values


def result_from_json(values: Mapping[str, object], result_type: type[AnyResult]) -> AnyResult | None:
    """Convert plain values to a result; None when they do not have this type."""
    try:
        return msgspec.convert(values, type=result_type)
    except msgspec.ValidationError:
        return None
