"""A built index as an artifact: a signed version in the registry, with what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from plimsoll.kinds.register import RegisterResult
from plimsoll.planning.steps import Ingredient, Travels, Work
from plimsoll.state.results import Result


class ReleaseResult(RegisterResult, frozen=True, kw_only=True, omit_defaults=True):
    """The version of the index."""

    def figure(self) -> str:
        """The version; an index has no bounds that it could miss."""
        return f"version {self.version}"

    def summary(self) -> Mapping[str, object]:
        """What the entry of the index in `--json` gets in addition."""
        return {"version": self.version, "digest": self.digest}


class ReleaseIndex(Work, frozen=True, kw_only=True):
    """Register a built index with its lineage, and sign it.

    `model` is what its versions are called. `build` is the step that built it. `embedder` is the reference of its
    embedding model, and `embedder_key` the key of the step that registered that in this plan; `reranker` and
    `reranker_key` are the same of the model that puts the best passages in order. `columns` are those of
    the table that its part of the file names. `lineage` has its documents, and the sources and code that they are from.
    """

    verb: ClassVar[str] = "release"
    result: ClassVar[type[Result]] = ReleaseResult
    travels: ClassVar[Travels] = "model"
    model: str
    build: str
    build_key: str
    embedder: str | None = None
    embedder_key: str | None = None
    reranker: str | None = None
    reranker_key: str | None = None
    columns: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    lineage: tuple[Ingredient, ...] = ()
