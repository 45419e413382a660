"""Cards of model versions: made when a version is registered, signed, and read again with what is known since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused
from plimsoll.registry.attestations import add_attestation, read_attestation
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.supply.model_card import PREDICATE, ModelCard, model_card
from plimsoll.telemetry.drift.state import DriftState


class CardFound(Struct, frozen=True, kw_only=True):
    """A card, the key that has signed it (empty for one that is made of the version's own record), and the drift since.

    The drift is what services of this directory have found of this version, as sentences.
    """

    card: ModelCard
    signed_by: str = ""
    drift: tuple[str, ...] = ()


def attach_card(registry: ModelRegistry, version: ModelVersion, card: ModelCard) -> None:
    """Sign a card, unless the newest one of the version says the same."""
    with contextlib.suppress(ModelRefused):
        # One that was altered is followed by one that is whole.
        if _signed(registry, version) == card:
            return
    registry.attach(version, [add_attestation(registry.layout, version, PREDICATE, card, registry.keys)])


def read_card(registry: ModelRegistry, version: ModelVersion, state: StateDirectory) -> CardFound:
    """The newest card of a version, or one of what its record tells. Raises ModelRefused for one that was altered."""
    found = read_attestation(registry.layout, registry.attestations(version), version, PREDICATE, registry.keys)
    drift = tuple(_drift(state, version))
    if found is None:
        return CardFound(card=model_card(version), drift=drift)
    return CardFound(card=_decoded(found.predicate, version), signed_by=found.signed_by, drift=drift)


def _signed(registry: ModelRegistry, version: ModelVersion) -> ModelCard | None:
    found = read_attestation(registry.layout, registry.attestations(version), version, PREDICATE, registry.keys)
    return _decoded(found.predicate, version) if found is not None else None


def _decoded(predicate: dict[str, object], version: ModelVersion) -> ModelCard:
    try:
        return msgspec.convert(predicate, type=ModelCard)
    except msgspec.ValidationError as error:
        hint = "it was made by another version of plimsoll: register the model again with --force"
        raise ModelRefused(f"the card of {version.reference} cannot be read: {error}", hint=hint) from error


def _drift(state: StateDirectory, version: ModelVersion) -> Iterator[str]:
    """What services have found of the version's drift, each with the name of its service."""
    for path in sorted(_states(state)):
        try:
            found = msgspec.json.decode(path.read_bytes(), type=DriftState)
        except (*UNREADABLE, OSError):
            continue
        if (found.model, found.version) == (version.name, str(version.version)):
            service = path.name.partition(".")[0]
            yield from (f"service {service}: {line}" for line in found.lines())


def _states(state: StateDirectory) -> Iterator[Path]:
    yield from state.drift.glob("*.state.json")
