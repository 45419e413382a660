"""What the probe of AI operators records."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from plimsoll.capabilities.inventory_records import Webhook
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class OperatorWebhook(Webhook, frozen=True, kw_only=True):
    """A webhook and the configuration that it stands in."""

    configuration: str


class OperatorFound(CheckRecord, frozen=True, kw_only=True, tag="operator"):
    """An operator and the webhooks of its kind.

    `hooks` are its own, `others` those of somebody else, and `namesakes` other webhooks with the name of one of its
    own. `word` is the name by which the bad object is wrong: a refusal for that reason quotes it.
    """

    name: str
    resource: str
    hooks: tuple[OperatorWebhook, ...]
    others: tuple[OperatorWebhook, ...]
    namesakes: tuple[OperatorWebhook, ...]
    word: str


class WorkPod(Struct, frozen=True, kw_only=True):
    """A pod of an operator's object, and the beginning of its log."""

    phase: str | None
    log: str


class CarriedOut(CheckRecord, frozen=True, kw_only=True, tag="carried-out"):
    """Whether an object reports its end; its pods print the product of `factors`."""

    label: str
    done: bool
    factors: tuple[int, int]
    pods: tuple[WorkPod, ...]


class ControllerKilled(CheckRecord, frozen=True, kw_only=True, tag="killed"):
    """The pods behind the operator's webhook, which are deleted, and the holders of the namespace's leases."""

    operator: str
    namespace: str
    pods: tuple[str, ...]
    leaders: tuple[str, ...]


class ControllerHealed(CheckRecord, frozen=True, kw_only=True, tag="healed"):
    """Whether as many pods came back, and the answers to a bad object meanwhile: refused, failed or taken."""

    operator: str
    back: bool
    said: tuple[str, ...] = ()


def leads(pods: Sequence[str], leaders: Sequence[str]) -> bool:
    """Whether one of the pods holds one of the leases; its holder is the pod's name and a random part."""
    return any(leader.startswith(f"{pod}_") for pod in pods for leader in leaders)


class KeptDown(CheckRecord, frozen=True, kw_only=True, tag="kept-down"):
    """While the pods behind the webhook were deleted again and again: whether an object's pods ended their work
    (`worked`), and whether the object reported its end (`done`)."""

    operator: str
    worked: bool
    done: bool


OperatorRecord = OperatorFound | CarriedOut | ControllerKilled | KeptDown | ControllerHealed | CommonRecord
