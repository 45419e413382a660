"""What is found of a person, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from plimsoll.subjects.contents import Seen

How = Literal["removed", "rewritten", "struck out", "hidden", "kept"]
"""Removed whole; written again without the person's rows; made unreadable in place; no answer of a live index any more.

`kept` is what could not be done, with the reason.
"""
CLUSTER = "cluster"
SOURCE, RESULT, WORK, CHECKPOINT, CURVE, LOG, AUDIT, INDEX, REGISTRY, EVALUATION, EVIDENCE, DRIFT, CACHE, OTHER = (
    "source",
    "result",
    "attempt",
    "checkpoint",
    "curve",
    "log",
    "audit log",
    "index",
    "registry",
    "evaluation",
    "evidence",
    "drift",
    "cache",
    "other",
)


class Finding(Struct, frozen=True, kw_only=True):
    """One place with the person. `name` is for people, `what` says how many of what, `path` is acted upon.

    `ids` are those of documents of an index, or the reference of a version. `why` says why it is there, or stays.
    """

    place: str
    name: str
    what: str
    how: How
    why: str = ""
    path: str = ""
    ids: tuple[str, ...] = ()


class TrainedOn(Struct, frozen=True, kw_only=True):
    """A version that was trained on rows of the person. Not `certain`: on data that is not there any more."""

    version: str
    step: str
    key: str
    digest: str
    certain: bool = True
    used_by: str = ""


class Found(Struct, frozen=True, kw_only=True):
    """All that was found. `unsearched` are files that could not be read, each with the reason."""

    findings: tuple[Finding, ...] = ()
    models: tuple[TrainedOn, ...] = ()
    unsearched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing of the person would stay, as far as everything could be searched."""
        return not self.unsearched and all(each.how != "kept" for each in self.findings)


Look = Callable[[Path], Seen]
"""Looks into a file for the person."""


def told(seen: Seen) -> str:
    """How much of what, for people."""
    parts = [_counted(seen.rows, "row")] if seen.rows else []
    parts += [_counted(seen.mentions, "mention")] if seen.mentions else []
    return " and ".join(parts)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
