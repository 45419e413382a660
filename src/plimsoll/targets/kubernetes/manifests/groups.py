"""A service's servers by what they have: all versions together, or each version apart."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from plimsoll.application.isolation import Isolation
from plimsoll.decoding import decodable
from plimsoll.kinds.service_settings import Scale, Telemetry
from plimsoll.llms.engines.engine import Container
from plimsoll.planning.steps import WorkerResources
from plimsoll.runtime.server.identities.settings import AuthSettings
from plimsoll.runtime.server.service_file import ServiceFile
from plimsoll.runtime.server.traffic import Share as TrafficShare
from plimsoll.targets.kubernetes import names

_ALL = "all"
PORT = 8080
"""Where servers answer."""


class Watched(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version whose drift is watched: where its reference lies, and the accuracy that it was accepted with.

    `sealed` names the Secret and the entry with the key under which the reference is encrypted; empty for in clear.
    """

    reference: str
    promised: float | None = None
    sealed: str = ""


class Standby(Struct, frozen=True, kw_only=True):
    """What answers while a service's own servers do not: its address, and what the file calls the target that has it.

    `after` and `back` are seconds for which own servers must be gone, and back, before requests move. `leads` says that
    requests go there now.
    """

    address: str
    to: str
    after: float
    back: float
    leads: bool = False


@decodable
class ServedVersions(Struct, frozen=True, kw_only=True):
    """What a service serves. `models` are references by the directory in which their files are to be.

    `latency` is the promised 99th percentile in seconds. `watched` are versions by their number. `name` is what its
    objects are called, empty for the name that goes without saying. `architectures` are those of the image. `engine` is
    a container beside the server that computes for it, `prefiller` one that only reads questions, of which there are
    `prefillers` in pods of their own. `asks` is a service of the application that it asks. `auth` is how its servers
    know their callers, by files in their pods. `isolation` is what the file asks for. `standby` answers while its
    servers do not. `stands_for` is the service that it stands by for itself, whose way in it has too. `trust` are
    public keys by name, where servers do not find them in the namespace.
    """

    application: str
    service: str
    file: ServiceFile
    models: Mapping[str, str]
    key: str
    resources: WorkerResources
    image: str
    scale: Scale = Scale()
    latency: float | None = None
    telemetry: Telemetry = Telemetry()
    watched: Mapping[str, Watched] = {}
    architectures: tuple[str, ...] = ()
    name: str = ""
    engine: Container | None = None
    prefiller: Container | None = None
    prefillers: int = 0
    asks: str = ""
    auth: AuthSettings | None = None
    isolation: Isolation | None = None
    standby: Standby | None = None
    stands_for: str = ""
    trust: Mapping[str, str] = {}

    @property
    def objects_name(self) -> str:
        """What the service's objects are called."""
        return self.name or names.service(self.application, self.service)

    @property
    def assists(self) -> bool:
        """Whether an assistant answers, by an index and a language model that are versions beside it."""
        return any(model.assistant is not None for model in self.file.models)

    @property
    def longest_answer(self) -> int:
        """Seconds that an answer may take by the limits of its language model; 0 without one."""
        return math.ceil(max((model.llm.seconds for model in self.file.models if model.llm is not None), default=0.0))


class Group(Struct, frozen=True, kw_only=True):
    """Servers that have the same. `version` and `traffic` are of the one version that they have, when it is apart."""

    name: str
    served: ServedVersions
    labels: dict[str, str]
    version: str = ""
    traffic: TrafficShare | None = None


def grouped(name: str, served: ServedVersions, labels: dict[str, str], *, apart: bool) -> list[Group]:
    """The groups of a service, the one with the most traffic first. A single version has no need to be apart.

    No group's labels are among another's: what finds servers by them finds none that are coming or going beside.
    """
    shares = next(iter(served.file.traffic.values()), ())
    if not apart or len(shares) < 2:
        return [Group(name=name, served=served, labels={**labels, names.VERSION: _ALL})]
    ordered = sorted(shares, key=lambda share: -share.weight)
    return [
        Group(
            name=f"{name}-{names.short(f'v{share.version}', 12)}",
            served=_of_version(served, share.version),
            labels={**labels, names.VERSION: share.version},
            version=share.version,
            traffic=share,
        )
        for share in ordered
    ]


def _of_version(served: ServedVersions, version: str) -> ServedVersions:
    """The service with this version alone, and without shares: its servers answer whatever reaches them."""
    models = tuple(each for each in served.file.models if each.version == version)
    kept = frozenset[str]().union(*(each.places() for each in models))
    return msgspec.structs.replace(
        served,
        file=msgspec.structs.replace(served.file, models=models, traffic={}),
        models={place: reference for place, reference in served.models.items() if place in kept},
        watched={number: each for number, each in served.watched.items() if number == version},
    )
