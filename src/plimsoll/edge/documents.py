"""What the owner of a group and its devices tell each other, as types. Every document travels in a signed envelope."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from plimsoll.decoding import decodable

STATE = "https://plimsoll.dev/edge/state/v1"
"""The predicate type of a desired state, signed by the owner."""
REPORT = "https://plimsoll.dev/edge/report/v1"
"""The predicate type of a device's report, signed by the device."""
LOG = "https://plimsoll.dev/edge/log/v1"
"""The predicate type of a file of a log, signed by the device."""
REQUEST = "https://plimsoll.dev/edge/request/v1"
"""The predicate type of a device's request to be taken in, signed by the device."""
MAX_DOCUMENT = 1 << 20
"""Bytes of one document; a group of 10,000 devices names only those that differ."""


class Subscription(Struct, frozen=True, kw_only=True):
    """Readings that a service answers: the broker's address, the topic to listen to, and the one for answers.

    `{topic}` in `answer` stands for the topic of the reading; an empty `answer` gives none. With `newest`, a reading
    takes the place of an older one of its topic that nobody has answered yet.
    """

    mqtt: str
    topic: str
    answer: str = ""
    newest: bool = False


class UploadRule(Struct, frozen=True, kw_only=True):
    """Which lines of logs a device sends, and how many bytes a day (0 for no limit).

    With `sample` (a share), `uncertain` (a margin between probabilities) or `changed` (a difference of outputs), an
    answer is sent when one of them asks for it. `newest` sends the newest files first.
    """

    send: bool = True
    sample: float | None = None
    uncertain: float | None = None
    changed: float | None = None
    budget: int = 0
    newest: bool = False

    @property
    def all(self) -> bool:
        """Whether every line is sent."""
        return self.send and self.sample is None and self.uncertain is None and self.changed is None


class Delta(Struct, frozen=True, kw_only=True):
    """A blob beside a model that makes one of its files of another file: digests of base, file and blob; its bytes."""

    base: str
    file: str
    digest: str
    size: int


class WantedService(Struct, frozen=True, kw_only=True):
    """A service of a group: which model it serves and how.

    `reference` is the place of the model in a registry by digest (`registry/repository@sha256:…`), `model` its name
    with the version (`triage@3`). `sample` has inputs by name (`shape` and `data`) for the request that proves it;
    zeros stand for what it leaves out. `access`, `audit` and `payloads` are the logs that it keeps. `deltas` lead from
    the model of the release before.
    """

    name: str
    model: str
    reference: str
    port: int = 0
    host: str = "127.0.0.1"
    threads: int = 1
    access: bool = False
    audit: bool = False
    payloads: bool = False
    subscribe: Subscription | None = None
    sample: dict[str, dict[str, object]] = {}
    deltas: tuple[Delta, ...] = ()


@decodable
class DesiredState(Struct, frozen=True, kw_only=True):
    """What the devices of a group run.

    `counter` grows with every state that is signed; `sync` and `keep` are in seconds. `release` grows when the services
    change, and `reach` is the share (0 to 1) of the devices that take it; the others keep `former`. Devices with a key
    in `revoked` run nothing. `moved` leads from the keys of devices that belong to another group now to its place.
    """

    group: str
    counter: int
    issued: datetime
    expires: datetime
    sync: float
    keep: float = 0.0
    keep_bytes: int = 0
    upload: UploadRule = UploadRule()
    release: int
    services: tuple[WantedService, ...]
    reach: float = 1.0
    former_release: int = 0
    former: tuple[WantedService, ...] = ()
    revoked: tuple[str, ...] = ()
    moved: dict[str, str] = {}


class ServiceReport(Struct, frozen=True, kw_only=True):
    """One service of a device: what it serves, and the requests that it has answered and failed since its start.

    `readings` were answered, `refused` were no requests, `dropped` had no time; they are counted by the agent.
    """

    name: str
    model: str
    up: bool
    url: str = ""
    requests: int = 0
    errors: int = 0
    readings: int = 0
    refused: int = 0
    dropped: int = 0


@decodable
class DeviceReport(Struct, frozen=True, kw_only=True):
    """What a device tells: `release` is what it serves, `counter` the newest state that it has taken.

    `failed` is the release that it took back, and `problem` why; `at` is the device's own time. `logged` is the newest
    file of logs that was sent, `held` the first and last numbers of those before it that still wait, `waiting` the
    bytes that are here, `dropped` the lines that had no room, `left` those that no rule chose, `uploaded` the bytes of
    logs that were sent on the device's present day. `disk` is in bytes, `temperature` in °C where the device has a
    sensor, `fetched` the bytes that the release's models took.
    """

    device: str
    number: int
    at: datetime
    counter: int
    release: int
    services: tuple[ServiceReport, ...] = ()
    failed: int = 0
    problem: str = ""
    logged: int = 0
    held: tuple[tuple[int, int], ...] = ()
    waiting: int = 0
    dropped: int = 0
    left: int = 0
    uploaded: int = 0
    disk: int = 0
    temperature: float | None = None
    fetched: int = 0


@decodable
class LogFile(Struct, frozen=True, kw_only=True):
    """A file of a service's log: its number at the device, and the digest of the packed file beside it."""

    device: str
    number: int
    service: str
    log: str
    digest: str


@decodable
class EnrolmentRequest(Struct, frozen=True, kw_only=True):
    """A device asks to be taken in: its public key, and the proof that it holds the token's secret.

    `proof` is HMAC-SHA-256 of the key's id under the secret, in hexadecimal digits.
    """

    device: str
    key_id: str
    key: dict[str, object]
    proof: str


class Invitation(Struct, frozen=True, kw_only=True):
    """What the owner remembers of a token: a request with its secret is accepted once, until `expires`."""

    device: str
    labels: dict[str, str]
    secret: str
    expires: datetime


class Device(Struct, frozen=True, kw_only=True):
    """A device of the fleet: its key, and its last report that was verified.

    `heard` is when a new report was first seen, by the owner's clock: a device's own may be wrong. `moved` is the place
    of the group to which it went, at `moved_at`; empty while it is in this one. `seen` is the newest number of a report
    that it has told in another group, and `home` the place of the group into which it was enrolled, where its logs are.
    """

    name: str
    labels: dict[str, str]
    key_id: str
    key: dict[str, object]
    enrolled: datetime
    revoked: datetime | None = None
    report: DeviceReport | None = None
    heard: datetime | None = None
    moved: str = ""
    moved_at: datetime | None = None
    seen: int = 0
    home: str = ""


Phase = Literal["waiting", "done", "stopped"]


class Rollout(Struct, frozen=True, kw_only=True):
    """A release on its way through the rings. `rings` are growing shares of the devices; the last one is 1."""

    release: int
    rings: tuple[float, ...]
    ring: int
    began: datetime
    ring_began: datetime
    hold: float
    limit: float
    errors: float
    phase: Phase = "waiting"
    reason: str = ""


@decodable
class Fleet(Struct, frozen=True, kw_only=True):
    """What the owner keeps of a group."""

    group: str
    devices: dict[str, Device] = {}
    invitations: dict[str, Invitation] = {}
    state: DesiredState | None = None
    rollout: Rollout | None = None
