"""The services of a group as devices get them: the newest accepted version of each model, pushed by digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import to_builtins

from plimsoll.application.scalars import memory_in_bytes
from plimsoll.edge.documents import Subscription, UploadRule, WantedService
from plimsoll.kinds.edge import Edge, Subscribe, Upload, share
from plimsoll.kinds.service import Service
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import push_model


def wanted_services(edge: Edge, services: Mapping[str, Service], models: ModelRegistry) -> Iterator[WantedService]:
    """Push each service's model, unless the registry has it, and give the service as devices run it.

    Raises ModelRefused for a version that was altered or misses its bounds, RegistryError for the registry.
    """
    place = parse_reference(edge.registry)
    for name in edge.services:
        service = services[name]
        version = models.find(service.leading)
        models.require_servable(version)
        with Repository(place.below(version.name)) as repository:
            pushed = push_model(models, version, repository)
        yield WantedService(
            name=name,
            model=version.reference,
            reference=str(pushed),
            port=service.port or 0,
            host=service.host,
            threads=max(1, int(service.resources.cpu or 1)),
            access=service.telemetry.access,
            audit=bool(service.telemetry.audit),
            payloads=service.telemetry.payloads,
            subscribe=_subscription(edge.subscribe.get(name)),
            sample=to_builtins(service.sample),
        )


def upload_rule(part: Upload) -> UploadRule:
    """What devices are told of the logs that they send."""
    return UploadRule(
        send=part.send == "all",
        sample=share(part.sample) if part.sample is not None else None,
        uncertain=part.uncertain,
        changed=part.changed,
        budget=memory_in_bytes(part.budget) if part.budget is not None else 0,
        newest=part.first == "newest",
    )


def _subscription(part: Subscribe | None) -> Subscription | None:
    if part is None:
        return None
    return Subscription(mqtt=part.mqtt, topic=part.topic, answer=part.answer or "", newest=part.order == "newest")
