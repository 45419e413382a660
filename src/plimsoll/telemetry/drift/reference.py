"""The distribution of each feature of a model in training: counts in bins, small enough to store."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.runtime.specs import ModelSpec

FORMAT_VERSION = 1
"""Version of the file format. A file of another version is not read but built again."""
REBUILD = "remove the file: the next run builds it again"


class Facet(StrEnum):
    """The aspect of a column that a feature compares. Text is compared by these figures."""

    VALUE = "value"
    LENGTH = "length"
    WORD_COUNT = "word count"
    UNKNOWN_WORDS = "unknown words"
    SIGNS = "signs"
    MEAN = "mean"
    SPREAD = "spread"


class NumericFeature(Struct, frozen=True, kw_only=True, tag_field="kind", tag="numeric"):
    """Numbers, counted in bins between `edges` (ascending, in the column's precision `dtype`).

    `counts` has one bin more than there are edges: bin i counts values from edge i-1 (included) to edge i (excluded).
    The first and the last bin are outside the range of training. `centres` are the means of the values in each bin.
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
    """Strings or labels: `counts` has a bin for each of `values`, and a last bin for all others."""

    name: str
    column: str
    values: tuple[str, ...]
    counts: tuple[int, ...]
    missing: int = 0


class WordsFeature(Struct, frozen=True, kw_only=True, tag_field="kind", tag="words"):
    """The words of a text column: `counts` has the number of texts with each of `words`, and last the number of texts.

    `known` is the vocabulary; all other words count as unknown.
    """

    name: str
    column: str
    words: tuple[str, ...]
    counts: tuple[int, ...]
    known: tuple[str, ...]
    missing: int = 0


Feature = NumericFeature | CategoricalFeature | WordsFeature
Side = Literal["input", "output"]


@decodable
class SideReference(Struct, frozen=True, kw_only=True):
    """The features of the inputs or the outputs of a model, from `rows` rows of training."""

    side: Side
    rows: int
    features: tuple[Feature, ...]

    def known_words(self, column: str) -> frozenset[str]:
        """The vocabulary of a text column in training."""
        for feature in self.features:
            if isinstance(feature, WordsFeature) and feature.column == column:
                return frozenset(feature.known)
        return frozenset()


@decodable
class DriftReference(Struct, frozen=True, kw_only=True):
    """The references of both sides of a model. `model` is the digest of its manifest, `data` that of its data.

    `spec` names the columns of the model's tensors.
    """

    model: str
    spec: ModelSpec
    data: str
    inputs: SideReference
    outputs: SideReference
    format: int = FORMAT_VERSION


def encode_reference(reference: DriftReference) -> bytes:
    """Encode the file: one line with the SHA-256 of the rest, then JSON."""
    content = msgspec.json.encode(reference)
    return f"sha256:{hashlib.sha256(content).hexdigest()}\n".encode() + content


def decode_reference(raw: bytes, where: str) -> DriftReference:
    """Decode the content of a file. Raises TargetError when it is altered or has another format."""
    digest, _, content = raw.partition(b"\n")
    if digest.decode(errors="replace") != f"sha256:{hashlib.sha256(content).hexdigest()}":
        raise TargetError("the drift reference was altered", where=where, hint=REBUILD)
    try:
        reference = msgspec.json.decode(content, type=DriftReference)
    except UNREADABLE as error:
        raise TargetError(f"cannot read the drift reference: {error}", where=where, hint=REBUILD) from error
    if reference.format != FORMAT_VERSION:
        message = f"the drift reference has format {reference.format}, expected {FORMAT_VERSION}"
        raise TargetError(message, where=where, hint=REBUILD)
    return reference
