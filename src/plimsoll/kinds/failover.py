"""A service that stands by for another one on a second target, and what leads requests there when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import asdict, replace

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.scalars import duration_in_seconds
from plimsoll.application.targets import LOCAL, target_named
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.service_settings import Auth
from plimsoll.planning.steps import FeatureRequest, Travels, Work
from plimsoll.state.results import Result

if TYPE_CHECKING:
    from plimsoll.kinds.service import Service

FAILOVER = "failover"
"""The feature of targets whose gateways lead requests to a service of another target."""
STANDBY = "-standby"
"""What the name of a service that stands by ends with."""
SHORTEST, LONGEST = 1.0, 3600.0
"""Seconds of `after` and `back`."""
_REQUEST = FeatureRequest(
    feature=FAILOVER,
    setting=("failover",),
    asks="fails over between gateways",
    remedy="install a gateway there (Gateway API), or leave failover out",
)


class Standby(Serve, frozen=True, kw_only=True):
    """Start a service that answers for another one, `stands_for`, while that one cannot."""

    verb: ClassVar[str] = "standby"
    travels: ClassVar[Travels] = "nothing"
    placed_by: ClassVar[tuple[str, ...]] = ("failover", "to")
    stands_for: str = ""

    def needed_features(self) -> Iterator[FeatureRequest]:
        """Those of a service, and a gateway by which it is reached."""
        yield from super().needed_features()
        yield _REQUEST


class FailoverResult(Result, frozen=True, kw_only=True):
    """What stands by for a service: its address, as pods of the service's target reach it."""

    service: str = ""
    address: str = ""

    def figure(self) -> str:
        """The address."""
        return f"stands by at {self.address}"

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`."""
        return {"standby": self.address}


class FailOver(Work, frozen=True, kw_only=True):
    """Have the gateway of `service` lead requests to `standby`, a service of the target `to`, while they are needed.

    `to` is what the file calls the target. `after` and `back` are seconds. `at` is the address of the other gateway
    where the file names one. `address` is that of the standby, which is known once it is up; empty until then.
    """

    verb: ClassVar[str] = "failover"
    result: ClassVar[type[Result]] = FailoverResult
    settings: ClassVar[tuple[str, ...]] = ("failover",)
    travels: ClassVar[Travels] = "nothing"
    service: str
    standby: str
    to: str
    after: float
    back: float
    at: str = ""
    address: str = ""

    def needed_features(self) -> Iterator[FeatureRequest]:
        """A gateway."""
        yield _REQUEST


def standby_of(work: Serve) -> Standby:
    """The work of the service that stands by: the same, by another name, and with all that it asks beside it."""
    same = asdict(replace(work, fails_over=False))
    if work.assistant is not None:
        # The service that it would ask is on the other target.
        same["assistant"] = replace(work.assistant, llm_service="")
    return Standby(**{**same, "service": f"{work.service}{STANDBY}", "stands_for": work.service})


def failover_of(name: str, part: Service) -> FailOver | None:
    """What leads requests to the other target; None where the file does not say so."""
    said = part.failover
    if said is None:
        return None
    return FailOver(
        service=name,
        standby=f"{name}{STANDBY}",
        to=said.to,
        after=duration_in_seconds(said.after),
        back=duration_in_seconds(said.back),
        at=(said.at or "").rstrip("/"),
    )


def check_failover(file: ApplicationFile, services: Mapping[str, Service], name: str, *at: str | int) -> None:
    """Raise FileError for a service that cannot fail over as it says."""
    service = services[name]
    said, application, at = service.failover, file.application, (*at, "failover")
    if said is None:
        return
    if service.target is None:
        text = "the service fails over to another target, and does not say which is its own"
        raise file.error(text, "add `target` with a name of spec.targets", *at, at_key=True)
    for word, named in (("to", said.to), ("target", service.target)):
        if target_named(application, named) == LOCAL:
            text = "failover is between the gateways of two clusters, and this machine has none"
            place = (*at, "to") if word == "to" else (*at[:-1], "target")
            raise file.error(text, "name a context here, or leave failover out", *place)
    if target_named(application, said.to) == target_named(application, service.target):
        text = f"the service is on '{service.target}' already, and cannot fail over to it"
        raise file.error(text, "name another target", *at, "to")
    for word, text in (("after", said.after), ("back", said.back)):
        if not SHORTEST <= duration_in_seconds(text) <= LONGEST:
            hint = f"say {SHORTEST:g}s or more, and an hour at most"
            raise file.error(f"failover.{word} is {text}", hint, *at, word)
    _check_service(file, services, name, *at)


def _check_service(file: ApplicationFile, services: Mapping[str, Service], name: str, *at: str | int) -> None:
    """Raise FileError for what a service that fails over cannot be."""
    service = services[name]
    if f"{name}{STANDBY}" in services:
        text = f"what stands by for '{name}' would be called as the service '{name}{STANDBY}'"
        raise file.error(text, "rename that service", *at, at_key=True)
    if service.scale is not None and service.scale.min == 0:
        text = "a service that scales to zero servers is not seen to fail"
        raise file.error(text, "set scale.min: 1, or leave failover out", *at, at_key=True)
    if isinstance(service.auth, Auth) and service.auth.kubernetes is not None:
        text = "callers with tokens of one cluster are strangers to the other"
        raise file.error(text, "name callers by tokens or jwt, or leave failover out", *at, at_key=True)
