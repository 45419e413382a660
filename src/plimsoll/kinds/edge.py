"""Groups of devices at the edge: the services that they run, and how a new release reaches them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.scalars import Duration, Memory, Name, duration_in_seconds
from plimsoll.errors import FileError
from plimsoll.kinds.service import SERVICES
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep
from plimsoll.registry.references import parse_reference

_PERCENT = r"^(100|[1-9]?[0-9])(\.[0-9]{1,4})?%$"
Percentage = Annotated[str, Meta(pattern=_PERCENT, description="a share such as 5%", examples=["5%", "50%", "100%"])]
SHORTEST_SYNC = 1.0


Topic = Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]


class Subscribe(Part, frozen=True, kw_only=True):
    """Readings by MQTT that a service answers."""

    mqtt: Annotated[
        str,
        Meta(
            pattern=r"^mqtts?://[^/@\s]+$",
            description="the broker, as devices reach it",
            examples=["mqtt://127.0.0.1:1883"],
        ),
    ]
    topic: Annotated[Topic, Meta(description="the topic of the readings; + and # stand for levels")]
    answer: Annotated[Topic, Meta(description="the topic of the answers; {topic} is that of the reading")] | None = None
    order: Annotated[
        Literal["oldest", "newest"],
        Meta(description="newest: a reading takes the place of an older one of its topic that waits"),
    ] = "oldest"


class Edge(Part, frozen=True, kw_only=True):
    """A group of devices: what they run, where they look for it, and the rings of a rollout."""

    services: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=32, description="services that devices run")]
    registry: Annotated[
        str,
        Meta(
            min_length=1,
            description="HOST/PATH of the registry that this machine and all devices reach",
            examples=["registry.example/shop"],
        ),
    ]
    subscribe: Annotated[dict[Name, Subscribe], Meta(description="readings that services answer, by service")] = {}  # noqa: RUF012 - msgspec copies it
    sync: Annotated[Duration, Meta(description="time between two looks of a device")] = "60s"
    rollout: Annotated[
        tuple[Percentage, ...],
        Meta(min_length=1, max_length=20, description="growing shares of the devices; ends with 100%"),
    ] = ("5%", "50%", "100%")
    hold: Annotated[Duration, Meta(description="time that a share is watched before the next one")] = "10m"
    limit: Annotated[Duration, Meta(description="time in which a share settles, or the rollout stops")] = "24h"
    errors: Annotated[Percentage, Meta(description="share of the devices that may take a release back")] = "2%"
    keep: Annotated[Duration, Meta(description="how long a device keeps logs that it could not send")] = "168h"
    keep_size: Annotated[Memory, Meta(description="room for logs that wait on a device; the oldest go first")] = "256Mi"
    expires: Annotated[Duration, Meta(description="time after which devices take a state no more")] = "720h"

    @property
    def rings(self) -> tuple[float, ...]:
        """The shares as numbers from 0 to 1."""
        return tuple(share(each) for each in self.rollout)


def share(percentage: str) -> float:
    """A percentage as a number from 0 to 1."""
    return float(percentage.rstrip("%")) / 100


class EdgeKind(Kind[Edge]):
    """`spec.edges`. A part has no step: a run makes and tests the services, and `plimsoll edge rollout` sends them."""

    key = "edges"
    part = Edge

    def check(self, file: ApplicationFile) -> None:
        """Check that the services exist and are of models, and that registry, rings and times can be."""
        for name, edge in self.of(file.application).items():
            at = self.place(name)
            self._check_services(file, edge, *at)
            for service, subscribe in edge.subscribe.items():
                if service not in edge.services:
                    text = f"the group does not run the service '{service}'"
                    hint = f"its services are: {', '.join(edge.services)}"
                    raise file.error(text, hint, *at, "subscribe", service, at_key=True)
                if subscribe.answer is not None and {"+", "#"} & set(subscribe.answer):
                    text = "an answer goes to one topic, and + and # stand for many"
                    raise file.error(text, "use {topic}", *at, "subscribe", service, "answer")
            try:
                parse_reference(edge.registry)
            except FileError as error:
                raise file.error(error.message, error.hint, *at, "registry") from error
            rings = edge.rings
            if rings[-1] != 1 or list(rings) != sorted(set(rings)) or rings[0] == 0:
                text = f"the rings {', '.join(edge.rollout)} do not grow to 100%"
                raise file.error(text, "write for example [5%, 50%, 100%]", *at, "rollout")
            if duration_in_seconds(edge.sync) < SHORTEST_SYNC:
                text = f"a sync every {edge.sync} is more often than once a second"
                raise file.error(text, "use at least 1s", *at, "sync")
            if duration_in_seconds(edge.limit) <= duration_in_seconds(edge.hold):
                text = f"the limit of a ring ({edge.limit}) is not longer than its hold ({edge.hold})"
                raise file.error(text, "make `limit` longer than `hold`", *at, "limit")

    def _check_services(self, file: ApplicationFile, edge: Edge, *at: str) -> None:
        services = SERVICES.of(file.application)
        for number, name in enumerate(edge.services):
            place: tuple[str | int, ...] = (*at, "services", number)
            if name not in services:
                known = ", ".join(services) or "none"
                raise file.error(f"there is no service '{name}'", f"the services are: {known}", *place)
            if name in edge.services[:number]:
                raise file.error(f"the service '{name}' stands here twice", "name it once", *place)
            if not isinstance(services[name].model, str) or services[name].own or services[name].pipeline:
                text = f"devices run services of one model, and '{name}' is another kind of service"
                raise file.error(text, "name a service with `model: NAME` alone", *place)
            if services[name].explain is not None:
                text = f"service '{name}' explains its answers by shap, which devices do not have"
                raise file.error(text, "leave explain out, or name a service without it", *place)

    def plan(self, name: str, part: Edge, planner: Planner) -> AnyStep:
        """Plan the services; the group adds nothing to a run."""
        return [planner.step_of(SERVICES, each) for each in part.services][-1]


EDGES = EdgeKind()
