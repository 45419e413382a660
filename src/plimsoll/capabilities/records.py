"""What a probe records: the base of all record types, those that every probe may write, and how they are read back.

A record is stored as the `fact` of an observation; its `event` is the tag of its type. A type's fields without a
default are in every bundle that was ever written; a field that older bundles lack has a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import UnionType
from typing import TypedDict, TypeVar, get_args

import msgspec
from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.secrets import without_secrets
from plimsoll.evidence.verdict import Outcome
from plimsoll.kubernetes.api import Manifest

SOURCE = "check"
"""The source of all observations of a check."""


class MalformedRecord(PlimsollError):
    """A record that does not have the fields or the types of its event."""


class CheckRecord(Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of every record. A subclass sets `tag` to the name of its event."""


class PodFields(TypedDict):
    """The fields of `PodState`, for records that have them beside their own."""

    name: str
    node: str
    phase: str
    reason: str
    waiting: tuple[str, ...]
    unscheduled: str
    scheduler: str
    images: tuple[str, ...]


class PodState(Struct, frozen=True, kw_only=True):
    """The state of a pod.

    `waiting` has the reasons of waiting containers, `unscheduled` the scheduler's message while no node was found, and
    `images` the image ids of its containers.
    """

    name: str
    node: str
    phase: str
    reason: str
    waiting: tuple[str, ...]
    unscheduled: str
    scheduler: str = ""
    images: tuple[str, ...]


class NamespaceCreated(CheckRecord, frozen=True, kw_only=True, tag="namespace"):
    """The probe creates its namespace, at a Pod Security level."""

    name: str
    level: str


class Came(CheckRecord, frozen=True, kw_only=True, tag="came"):
    """A wait succeeded after `seconds`."""

    what: str
    seconds: float


class DidNotCome(CheckRecord, frozen=True, kw_only=True, tag="did-not-come"):
    """A wait reached its limit after `seconds`."""

    what: str
    seconds: float


class Applied(CheckRecord, frozen=True, kw_only=True, tag="applied"):
    """The probe applies a manifest."""

    kind: str
    name: str
    manifest: Manifest


class Attempted(CheckRecord, frozen=True, kw_only=True, tag="attempt", omit_defaults=True):
    """The API server's answer to a manifest in a dry run; `status` and `message` are those of a refusal."""

    label: str
    taken: bool
    status: int = 0
    message: str = ""


class PodEnded(PodState, CheckRecord, frozen=True, kw_only=True, tag="pod"):
    """A pod that was waited for, and its log."""

    log: str


class LogUnavailable(CheckRecord, frozen=True, kw_only=True, tag="no-log"):
    """The log of a container could not be read."""

    pod: str
    container: str
    status: int
    message: str


class ClusterPace(CheckRecord, frozen=True, kw_only=True, tag="pace"):
    """Seconds from the creation of a pod that does nothing to its end."""

    seconds: float


class ProbeEnded(CheckRecord, frozen=True, kw_only=True, tag="ended"):
    """The probe came to its end."""


class BrokeOff(CheckRecord, frozen=True, kw_only=True, tag="broke-off"):
    """The probe stopped before its end."""

    problem: str
    remedy: str = ""


class NotRemoved(CheckRecord, frozen=True, kw_only=True, tag="not-removed"):
    """The objects of the probe could not be removed."""

    problem: str
    remedy: str = ""


class Decided(CheckRecord, frozen=True, kw_only=True, tag="decided"):
    """The inventory alone decided the verdict, and the probe was not run."""

    outcome: Outcome
    figure: str = ""
    cause: str
    remedy: str = ""


CommonRecord = (
    NamespaceCreated
    | Came
    | DidNotCome
    | Applied
    | Attempted
    | PodEnded
    | LogUnavailable
    | ClusterPace
    | ProbeEnded
    | BrokeOff
    | NotRemoved
    | Decided
)
"""Records that every probe may write."""
EndRecord = ProbeEnded | Decided | BrokeOff
"""Records that say how a probe ended."""
R = TypeVar("R", bound=CheckRecord)
Value = TypeVar("Value")


class Recorded:
    """The records of one probe or inventory, decoded, in the order of writing."""

    def __init__(self, records: Sequence[CheckRecord]) -> None:
        self._records = tuple(records)

    def all(self, kind: type[R]) -> list[R]:
        """All records of a type."""
        return [each for each in self._records if isinstance(each, kind)]

    def first(self, kind: type[R]) -> R | None:
        """The first record of a type; None when there is none."""
        return next(iter(self.all(kind)), None)


def make_decodable(union: UnionType) -> UnionType:
    """The same union, safe to decode from several threads (see `decoding`). Two types with one tag are a TypeError."""
    msgspec.json.Decoder(union)
    return union


def tags(union: UnionType) -> dict[str, type[CheckRecord]]:
    """The types of a union by their events."""
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union)}


def decode(observations: Iterable[Observation], union: UnionType) -> Recorded:
    """The records of a union's types among observations.

    Events that the union does not have are left out, as a newer version may write more. Raises MalformedRecord when an
    observation does not have the fields of its event.
    """
    kinds = tags(union)
    found: list[CheckRecord] = []
    for number, each in enumerate(observations, 1):
        kind = kinds.get(each.event)
        if kind is None:
            continue
        try:
            found.append(msgspec.convert(each.fact, kind))
        except msgspec.ValidationError as error:
            raise MalformedRecord(f"observation {number} is no '{each.event}': {error}") from error
    return Recorded(found)


def observation_of(subject: str, record: CheckRecord) -> Observation:
    """A record made now, as it is stored: without credentials."""
    fact = without_secrets(msgspec.to_builtins(record))
    return Observation(at=datetime.now(UTC), source=SOURCE, subject=subject, fact=fact)


def required(value: Value | None, field: str) -> Value:
    """A field that only some records of a type have. Raises MalformedRecord when it is missing."""
    if value is None:
        raise MalformedRecord(f"the field '{field}' is missing")
    return value


make_decodable(CommonRecord)
