"""What is recorded of a result that has travelled from one target to another."""

from __future__ import annotations

from plimsoll.evidence.run_events import Carried
from plimsoll.planning.steps import AnyStep
from plimsoll.state.results import Result
from plimsoll.targets.several.place import Place


def travelled(
    made: AnyStep, origin: Place, to: Place, digest: str, size: int, *, attempt: int = 0, seconds: float = 0.0
) -> Carried:
    """The journey of a result to another target; without an attempt, of what was fetched after the steps."""
    return Carried(
        attempt=attempt,
        step=made.name,
        key=made.key,
        origin=origin.target.name,
        to=to.target.name,
        kind="model" if made.work.travels == "model" else "data",
        digest=digest,
        size=size,
        seconds=round(seconds, 3),
    )


def fetched_here(made: AnyStep, place: Place, here: Place, *, attempt: int = 0) -> Carried | None:
    """The journey of a result to this machine, which has what it has of it now; None where it has nothing."""
    kept = kept_here(made, place)
    content = place.exchange.content(made)
    if kept is None or content is None:
        return None
    size = sum(file.size for file in kept.outputs)
    return travelled(made, place, here, content.digest, size, attempt=attempt)


def kept_here(made: AnyStep, place: Place) -> Result | None:
    """What this machine has of the result of a step of a target; None where it has nothing."""
    return place.target.state.result(made.key, made.work.result)
