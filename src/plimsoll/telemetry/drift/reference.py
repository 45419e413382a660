"""What each feature of a model looked like in training: counts in fixed places, small enough to keep."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import TargetError
from plimsoll.runtime.specs import ModelSpec

FORMAT = 1
"""Of the file; another one is made anew, not read."""


class Facet(StrEnum):
    """What of a column is looked at. Text is not compared as such but by these figures of it."""

    VALUE = "value"
    LENGTH = "length"
    WORD_COUNT = "word count"
    UNKNOWN_WORDS = "unknown words"
    SIGNS = "signs"
    MEAN = "mean"
    SPREAD = "spread"


class NumericFeature(Struct, frozen=True, kw_only=True, tag_field="kind", tag="numeric"):
    """Numbers, counted between `edges` (ascending, in the column's own precision `dtype`).

    `counts` has one place more than there are edges: place i counts values from edge i-1 up to but without edge i. The
    first and the last place lie outside of all that training saw. `centres` are the means of the values in each place;
    `spread` is the standard deviation, the unit of the Wasserstein distance.
    """

    name: str
    column: str
    dtype: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    centres: tuple[float, ...]
    spread: float
    missing: int = 0
    facet: Facet = Facet.VALUE


class CategoricalFeature(Struct, frozen=True, kw_only=True, tag_field="kind", tag="categorical"):
    """Words or labels: `counts` has a place for each of `values` and a last one for all others."""

    name: str
    column: str
    values: tuple[str, ...]
    counts: tuple[int, ...]
    missing: int = 0


class WordsFeature(Struct, frozen=True, kw_only=True, tag_field="kind", tag="words"):
    """The words of a text column: `counts` says in how many texts each of `words` stands, and last how many there are.

    `known` are all words that count as known when a text's share of unknown words is measured.
    """

    name: str
    column: str
    words: tuple[str, ...]
    counts: tuple[int, ...]
    known: tuple[str, ...]
    missing: int = 0


Feature = NumericFeature | CategoricalFeature | WordsFeature
Side = Literal["input", "output"]


class Reference(Struct, frozen=True, kw_only=True):
    """The features of one side of a model, from `rows` rows of training."""

    side: Side
    rows: int
    features: tuple[Feature, ...]

    def known_words(self, column: str) -> frozenset[str]:
        """The words of a text column that training knew."""
        for feature in self.features:
            if isinstance(feature, WordsFeature) and feature.column == column:
                return frozenset(feature.known)
        return frozenset()


@decodable
class ModelReference(Struct, frozen=True, kw_only=True):
    """Both sides, of which model (`model` is its manifest's digest) and from which data (`data` likewise).

    `spec` gives the columns of the model's tensors their names.
    """

    model: str
    spec: ModelSpec
    data: str
    inputs: Reference
    outputs: Reference
    format: int = FORMAT


def encode(reference: ModelReference) -> bytes:
    """The file: one line with the SHA-256 of what follows, then JSON."""
    content = msgspec.json.encode(reference)
    return f"sha256:{hashlib.sha256(content).hexdigest()}\n".encode() + content


def decode(raw: bytes, where: str) -> ModelReference:
    """The reference in a file's content. Raises TargetError when it is not what was written."""
    told, _, content = raw.partition(b"\n")
    if told.decode(errors="replace") != f"sha256:{hashlib.sha256(content).hexdigest()}":
        raise TargetError("the drift reference was altered", where=where, hint="remove it: the next run makes it anew")
    try:
        reference = msgspec.json.decode(content, type=ModelReference)
    except msgspec.DecodeError as error:
        raise TargetError(f"the drift reference cannot be read: {error}", where=where, hint="remove it") from error
    if reference.format != FORMAT:
        raise TargetError(f"the drift reference has the format {reference.format}", where=where, hint="remove it")
    return reference
