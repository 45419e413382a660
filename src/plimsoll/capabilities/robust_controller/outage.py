"""An object whose pods do their work while the operator's own pods are kept down.

Not every operator elects a leader. Without a lease, only this shows that no other program carries out the objects:
while the pods behind the webhook are down, the end of an object's work is reported by nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from msgspec import Struct

from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.robust_controller.operators import Operator
from plimsoll.capabilities.robust_controller.records import CarriedOut, KeptDown, WorkPod
from plimsoll.kubernetes.api import Manifest

_WORK = 12
"""Seconds that the pods work: enough to see all of them run, and to delete the operator's."""
_START_LIMIT, _WORK_LIMIT = 60.0, 60.0
_SILENCE = 6.0
"""Seconds without a report after the work has ended; a report takes about one when the operator runs."""


class Work(Struct, frozen=True, kw_only=True):
    """An object whose pods print the product of `factors` when they have worked."""

    operator: Operator
    name: str
    label: str
    factors: tuple[int, int]


def begin(ns: ProbeNamespace, operator: Operator, name: str, label: str, limit: float, pause: int = 0) -> Work | None:
    """Create an object whose pods work for `pause` seconds; None when it is not accepted within `limit` seconds."""
    factors = (1_000 + secrets.randbelow(8_000), 1_000 + secrets.randbelow(8_000))
    rest = f"sleep {pause}; " if pause else ""
    manifest = operator.object(ns, name, operator.part, f"{rest}echo worked out $(({factors[0]}*{factors[1]}))")
    # The webhook of a controller that starts refuses every object for a moment.
    if not ns.wait(f"{name} to be accepted", lambda: ns.accepts(manifest, f"{label} taken"), limit):
        ns.note(CarriedOut(label=label, done=False, factors=factors, pods=()))
        return None
    ns.apply(manifest)
    return Work(operator=operator, name=name, label=label, factors=factors)


def finish(ns: ProbeNamespace, work: Work, limit: float) -> None:
    """Wait until the object reports its end, and record what its pods printed."""
    ended = ns.wait(f"{work.name} to be carried out", lambda: is_done(ns, work), limit)
    pods = tuple(
        WorkPod(phase=each["status"].get("phase"), log=ns.log(each["metadata"]["name"], _container(each))[:200])
        for each in _pods(ns, work)
    )
    ns.note(CarriedOut(label=work.label, done=bool(ended), factors=work.factors, pods=pods))


def is_done(ns: ProbeNamespace, work: Work) -> bool:
    """Whether the object reports its end."""
    operator = work.operator
    return operator.done(ns.get(operator.api_version, operator.kind, work.name))


def start_held(ns: ProbeNamespace, operator: Operator, prefix: str) -> Work | None:
    """Create an object, and return when its pods run; None when they do not."""
    label = f"{operator.name}: held"
    work = begin(ns, operator, f"{prefix}-held", label, _START_LIMIT, pause=_WORK)
    if work is None:
        return None

    def run() -> bool:
        pods = _pods(ns, work)
        return bool(pods) and all(each["status"].get("phase") == "Running" for each in pods)

    return work if ns.wait(f"the pods of {work.name} to run", run, _START_LIMIT) else None


def keep_down(ns: ProbeNamespace, work: Work, kill: Callable[[], None]) -> None:
    """Call `kill` until the object's pods have worked and a while longer, and record whether its end was reported."""
    done = False

    def look() -> None:
        nonlocal done
        kill()
        done = done or is_done(ns, work)

    def worked() -> bool:
        look()
        pods = _pods(ns, work)
        return bool(pods) and all(work.operator.worked(each) for each in pods)

    ended = ns.wait(f"the pods of {work.name} to have worked", worked, _WORK_LIMIT)
    if ended:
        ns.watch_for(_SILENCE, look)
    ns.note(KeptDown(operator=work.operator.name, worked=bool(ended), done=done))


def _pods(ns: ProbeNamespace, work: Work) -> list[Manifest]:
    return ns.list("v1", "Pod", work.operator.pods(work.name))


def _container(pod: Manifest) -> str:
    return str(pod["spec"]["containers"][0]["name"])
