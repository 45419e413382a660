"""What the probe of accelerators' metrics records."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, CommonRecord


class MetricsExpected(CheckRecord, frozen=True, kw_only=True, tag="expected", omit_defaults=True):
    """The node under test and its accelerators.

    `full` is the value of full utilization, `loadable` says whether a load for the hardware is known, and `allocates`
    whether the probe knows how to take its memory, of which the metrics' unit has `unit` bytes.
    """

    node: str
    resource: str = ""
    hardware: str
    devices: int
    full: float
    loadable: bool
    allocates: bool = False
    unit: float = 1.0


class EndpointsFound(CheckRecord, frozen=True, kw_only=True, tag="endpoints"):
    """URLs at which pods of the node may serve metrics."""

    found: tuple[str, ...]


class Loaded(CheckRecord, frozen=True, kw_only=True, tag="loaded"):
    """The devices of the pod with the load, and whether the load ran."""

    devices: tuple[str, ...]
    did: bool


class Allocated(CheckRecord, frozen=True, kw_only=True, tag="allocated"):
    """The bytes of memory that the holder took, whether it did, and whether it gave them back before and after."""

    bytes: int
    did: bool
    freed: bool


class Series(Struct, frozen=True, kw_only=True):
    """One sample. `device` is empty when no label names one; `value` is None when it is not a finite number."""

    name: str
    device: str
    value: float | None
    utilization: bool


class Scraped(CheckRecord, frozen=True, kw_only=True, tag="scraped"):
    """One scrape of an endpoint, in the case idle, rising, loaded, falling, after, empty, held or freed."""

    case: str
    endpoint: str
    series: tuple[Series, ...]


MetricsRecord = MetricsExpected | EndpointsFound | Loaded | Allocated | Scraped | CommonRecord
