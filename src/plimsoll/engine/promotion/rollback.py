"""Leads the requests of a running service back to an earlier version at once, without comparing the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from plimsoll.engine.moves import came_from
from plimsoll.engine.policies.admission import require_admitted
from plimsoll.engine.promotion.promoting import AT_ONCE, Promotion, move, record_promotion
from plimsoll.errors import PlimsollError
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target
from plimsoll.targets.traffic import TrafficMover


def rollback(
    target: Target,
    service: str,
    *,
    reference: str | None,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
    file: Path | None = None,
) -> Promotion:
    """Lead all requests to `reference`, or to the version that had them before the last promotion.

    A promotion that was interrupted is only undone: its end is what the service was rolled back to. Raises ModelRefused
    for a version that may not be served, PolicyRefused for one that breaks a policy of `file`, or else of the file of
    the newest run, TargetError when the target cannot move traffic, and PlimsollError when the service is not running
    or has no former version.
    """
    registry = model_registry(target.state)
    model = registry.find(reference).name if reference else None
    mover = target.features.require(TRAFFIC)(model, service, say, stopped)
    with mover.exclusive() as undone:
        old = mover.leading()
        if undone and reference is None:
            reason = "an interrupted promotion is undone"
            return Promotion(service=mover.service, old=old, new=old, weight=100, reason=reason, judgements=())
        wanted = reference or _former(target, mover, old)
        version = registry.find(wanted)
        registry.open(version)
        registry.require_servable(version)
        require_admitted(target.state, [version], f"the rollback to {version.reference}", file)
        done = move(mover, registry, version, AT_ONCE, say, stopped)
    record_promotion(target.state, done, version.name, "rollback")
    return replace(done, reason=f"rolled back from version {old}") if done.promoted else done


def _former(target: Target, mover: TrafficMover, old: str) -> str:
    """The version of before, as the service has it; for one that was ended and begun again, as its moves tell."""
    version = mover.former() or came_from(target.state, mover.service, mover.model, old)
    if not version:
        raise PlimsollError(
            f"service {mover.service} has had no promotion that is known here, so that there is nothing to roll back",
            where=mover.where,
            hint=f"name the version: plimsoll rollback {mover.service} --to {mover.model}@VERSION",
        )
    return f"{mover.model}@{version}"
