"""Groups of devices at the edge: the services that they run, and how a new release reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Labels, Part
from plimsoll.application.scalars import Duration, Memory, Name, duration_in_seconds, memory_in_bytes
from plimsoll.errors import FileError
from plimsoll.kinds.service import SERVICES
from plimsoll.kinds.service_settings import Auth
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep
from plimsoll.registry.references import parse_reference

_PERCENT = r"^(100|[1-9]?[0-9])(\.[0-9]{1,4})?%$"
Percentage = Annotated[str, Meta(pattern=_PERCENT, description="a share such as 5%", examples=["5%", "50%", "100%"])]
SHORTEST_SYNC = 1.0
SMALLEST_BUDGET = 256 << 10
"""Bytes of a day: a minute of answers of a busy service, pressed together, is smaller."""


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


class Upload(Part, frozen=True, kw_only=True):
    """Which lines of the logs of its services a device sends, and how many bytes a day."""

    send: Annotated[Literal["all", "none"], Meta(description="none: every line stays on the device")] = "all"
    sample: Annotated[Percentage, Meta(description="a share of the answers that is sent")] | None = None
    uncertain: (
        Annotated[
            float,
            Meta(gt=0, le=1, description="answers are sent whose two greatest probabilities are nearer than this"),
        ]
        | None
    ) = None
    changed: (
        Annotated[
            float,
            Meta(
                ge=0,
                description="answers are sent that differ by more than this from the last one that was sent for it",
            ),
        ]
        | None
    ) = None
    budget: Annotated[Memory, Meta(description="bytes of a day; what has no room waits for the next one")] | None = None
    first: Annotated[
        Literal["oldest", "newest"], Meta(description="newest: what is new is sent before what has waited")
    ] = "oldest"


class Edge(Part, frozen=True, kw_only=True):
    """A group of devices: what they run, where they look for it, and the rings of a rollout."""

    services: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=32, description="services that devices run")]
    devices: Labels | None = None
    target: (
        Annotated[Name, Meta(description="a target of spec.targets with `devices`, in place of them here")] | None
    ) = None
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
    upload: Annotated[Upload, Meta(description="which lines of logs are sent, and how many bytes a day")] = Upload()
    expires: Annotated[Duration, Meta(description="time after which devices take a state no more")] = "720h"

    @property
    def rings(self) -> tuple[float, ...]:
        """The shares as numbers from 0 to 1."""
        return tuple(share(each) for each in self.rollout)


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels for people, as they are written on a command line."""
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def share(percentage: str) -> float:
    """A percentage as a number from 0 to 1."""
    return float(percentage.rstrip("%")) / 100


class EdgeKind(Kind[Edge]):
    """`spec.edges`. A part has no step: a run makes and tests the services, and `plimsoll edge rollout` sends them."""

    key = "edges"
    part = Edge

    def placement(self, part: Edge) -> tuple[str | None, tuple[str, ...]]:
        """None: devices look for their services, and no run is on them."""
        return None, ("target",)

    def selector(self, application: ApplicationSpec, part: Edge) -> Mapping[str, str]:
        """The labels by which devices belong to a group; none where they belong to it by their enrolment alone."""
        named = application.targets.get(part.target or "")
        return part.devices or (named.devices if named else None) or {}

    def selectors(self, application: ApplicationSpec) -> Mapping[str, Mapping[str, str]]:
        """The groups to which devices belong by their labels, with these."""
        found = {name: self.selector(application, part) for name, part in self.of(application).items()}
        return {name: labels for name, labels in found.items() if labels}

    def check(self, file: ApplicationFile) -> None:
        """Check that the services exist and are of models, and that labels, registry, rings and times can be."""
        self._check_selectors(file)
        for name, edge in self.of(file.application).items():
            at = self.place(name)
            self._check_services(file, edge, *at)
            self._check_upload(file, edge, *at)
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

    def _check_selectors(self, file: ApplicationFile) -> None:
        application = file.application
        for name, edge in self.of(application).items():
            named = application.targets.get(edge.target or "")
            if edge.devices is not None and not edge.devices:
                text = f"the group '{name}' names no label"
                hint = "write devices: {site: north}, or leave it out for the devices that are enrolled into the group"
                raise file.error(text, hint, *self.place(name), "devices")
            if edge.target is not None and edge.devices is not None:
                text = f"the group '{name}' names its devices twice"
                raise file.error(text, "keep one of `devices` and `target`", *self.place(name), "target", at_key=True)
            if edge.target is not None and (named is None or named.devices is None):
                known = [each for each, one in application.targets.items() if one.devices is not None]
                text = f"there is no target '{edge.target}' with `devices` in spec.targets"
                hint = (
                    f"those are: {', '.join(known)}" if known else "write devices: {site: north} in place of `target`"
                )
                raise file.error(text, hint, *self.place(name), "target")
        selectors = self.selectors(application)
        for name, labels in selectors.items():
            for other, theirs in selectors.items():
                if name != other and theirs.items() <= labels.items():
                    text = f"every device of '{name}' is one of '{other}' too, and a device is in one group"
                    hint = f"have them differ in the value of a label; '{other}' takes {labels_text(theirs)}"
                    raise file.error(text, hint, *self.place(name), at_key=True)

    def _check_upload(self, file: ApplicationFile, edge: Edge, *at: str) -> None:
        upload, services = edge.upload, SERVICES.of(file.application)
        rules = [word for word in ("sample", "uncertain", "changed") if getattr(upload, word) is not None]
        if upload.send == "none" and (words := [*rules, *(["budget"] if upload.budget is not None else [])]):
            text = f"`send: none` sends nothing, and `{words[0]}` says what is sent"
            raise file.error(text, f"remove one of them: {', '.join(['send', *words])}", *at, "upload", words[0])
        logged = [name for name in edge.services if services[name].telemetry.access or services[name].telemetry.audit]
        if upload != Upload() and not logged:
            text = "no service of the group has a log, so that nothing is there to send"
            raise file.error(
                text, f"write telemetry: {{audit: true}} at {edge.services[0]}", *at, "upload", at_key=True
            )
        for word in (each for each in rules if each != "sample"):
            for name in edge.services:
                telemetry = services[name].telemetry
                if not (telemetry.audit and telemetry.payloads):
                    text = f"the service '{name}' logs no outputs, by which `{word}` chooses"
                    hint = f"write telemetry: {{audit: true, payloads: true}} at {name}, or use `sample`"
                    raise file.error(text, hint, *at, "upload", word)
        if upload.sample is not None and share(upload.sample) == 0:
            raise file.error("a sample of 0% is none", "write send: none, or leave it out", *at, "upload", "sample")
        if upload.budget is not None and memory_in_bytes(upload.budget) < SMALLEST_BUDGET:
            text = f"a budget of {upload.budget} has no room for a file of logs"
            raise file.error(text, f"give a day at least {SMALLEST_BUDGET >> 10}Ki", *at, "upload", "budget")

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
            if isinstance(services[name].auth, Auth):
                text = f"the service '{name}' asks who calls it, and servers on devices know no callers"
                raise file.error(text, "name a service without `auth`, for this device alone", *place)
            if services[name].explain is not None:
                text = f"service '{name}' explains its answers by shap, which devices do not have"
                raise file.error(text, "leave explain out, or name a service without it", *place)

    def plan(self, name: str, part: Edge, planner: Planner) -> AnyStep:
        """Plan the services; the group adds nothing to a run."""
        return [planner.step_of(SERVICES, each) for each in part.services][-1]


EDGES = EdgeKind()
