"""Hands versions that a run has registered to the services that are kept up, which go on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from plimsoll.engine.history import RunHistory
from plimsoll.engine.moves import VersionMoved, moves_of, newest_offered, record_move
from plimsoll.engine.policies.admission import require_admitted
from plimsoll.engine.preparation import Prepared
from plimsoll.engine.promotion.promoting import AT_ONCE, move
from plimsoll.errors import PlimsollError
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.serve import Serve
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import KEEP, TRAFFIC, KeptService
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target


class TakeOver(Struct, frozen=True, kw_only=True):
    """What became of a kept service with a run: whether `new` took over from `old`, and why not. `text` says it.

    `problem`: it should have taken over and did not.
    """

    service: str
    old: str
    new: str
    moved: bool
    text: str
    problem: bool = False


class Intent(Struct, frozen=True, kw_only=True):
    """What is to become of a service with a registered version: it is taken over, or `text` says why not."""

    takes_over: bool
    text: str = ""
    problem: bool = False


def take_over(
    prepared: Prepared, happened: RunHistory, say: Callable[[str], None], stopped: Callable[[], bool]
) -> Iterator[TakeOver]:
    """Move the kept services of a target to the versions that a run has registered, one after the other."""
    if KEEP not in prepared.target.features:
        return
    keeper = prepared.target.features.require(KEEP)
    results = {
        step.result.name or step.part: step.result
        for step in happened.steps
        if isinstance(step.result, RegisterResult) and step.state == "done"
    }
    tested = {step.part: step.state for step in happened.steps if step.verb == Serve.verb}
    serving = (step.work for step in prepared.plan.steps if isinstance(step.work, Serve))
    works = {work.service: work for work in serving}
    for name, kept in keeper.kept().items():
        work = works.get(name)
        model = work.follows if work is not None else kept.follows
        registered = results.get(model)
        old = keeper.leading(name)
        if old is None or registered is None or old == str(registered.version):
            continue
        intent = intended(
            name,
            kept,
            f"{model}@{old}",
            registered,
            reference=f"{model}@{registered.version}",
            waits=(work.rollout if work is not None else kept.rollout) == "promote",
            offered=newest_offered(prepared.state, name, model),
            tested=tested.get(name, "done"),
        )
        new = str(registered.version)
        if intent.takes_over:
            yield _carried_out(prepared.target, name, model, old, new, say, stopped)
        else:
            yield TakeOver(service=name, old=old, new=new, moved=False, text=intent.text, problem=intent.problem)


def catch_up(prepared: Prepared, services: Sequence[str], stopped: Callable[[], bool]) -> Iterator[TakeOver]:
    """Move services that are up to the newest accepted version, where it has not been handed over to them yet."""
    keeper = prepared.target.features.require(KEEP)
    for name, kept in keeper.kept().items():
        old = keeper.leading(name)
        if name not in services or kept.state != "up" or not kept.follows or kept.rollout == "promote" or old is None:
            continue
        registry = model_registry(prepared.state)
        free = registry.blocked
        servable = (each for each in registry.versions(kept.follows) if each.accepted and free.of(each) is None)
        newest = max((each.version for each in servable), default=0)
        if newest > max(int(old), newest_offered(prepared.state, name, kept.follows)):
            yield _carried_out(prepared.target, name, kept.follows, old, str(newest), lambda _: None, stopped)


def notes(state: StateDirectory, service: str, kept: KeptService, leading: str | None) -> list[str]:
    """What there is to know of a kept service's versions: its last move, and a newer one that does not answer."""
    told = []
    if moved := moves_of(state, service):
        at, move = moved[-1]
        told.append(f"{move.line()}, {at:%Y-%m-%d %H:%M:%S} UTC")
    if not kept.follows or leading is None:
        return told
    registry = model_registry(state)
    versions = registry.versions(kept.follows)
    newer = [each for each in versions if each.version > int(leading)]
    if newer:
        newest = newer[-1]
        if not newest.accepted:
            told.append(f"{newest.reference} is not accepted: {'; '.join(newest.refusals)}")
        blocks = {each.reference: registry.blocked.of(each) for each in newer}
        told += [f"{reference} is {block.line()}" for reference, block in blocks.items() if block is not None]
        if waiting := [each for each in newer if each.accepted and blocks[each.reference] is None]:
            reference = waiting[-1].reference
            command = _promotion(service, reference)
            told.append(f"{reference} is accepted and not in service; `{command}` moves it there")
    return told


def intended(
    service: str,
    kept: KeptService,
    serving: str,
    registered: RegisterResult,
    *,
    reference: str,
    waits: bool,
    offered: int,
    tested: str,
) -> Intent:
    """Whether a registered version takes over a service. Pure.

    `serving` is what answers now, `offered` the newest version that the service had, `tested` the state of the run's
    own test of the service.
    """
    goes_on = f"service {service} goes on with {serving}"
    if kept.state != "up":
        goes_on = (
            f"service {service} is not up ({kept.reason or kept.state}); `plimsoll up` brings it back with {serving}"
        )
    if not registered.accepted:
        return Intent(
            takes_over=False, text=f"{goes_on}: {reference} is not accepted: {'; '.join(registered.refusals)}"
        )
    if registered.version <= offered:
        text = f"{goes_on}: {reference} had its turn before; `{_promotion(service, reference)}` moves it there"
        return Intent(takes_over=False, text=text)
    if waits:
        return Intent(takes_over=False, text=f"{goes_on}: {reference} waits for `{_promotion(service, reference)}`")
    if tested != "done":
        text = f"{goes_on}: the test of {reference} is {tested}"
        return Intent(takes_over=False, text=text, problem=True)
    if kept.state != "up":
        text = f"{goes_on.rpartition(' with ')[0]} with {reference}"
        return Intent(takes_over=False, text=text, problem=True)
    return Intent(takes_over=True)


def _promotion(service: str, reference: str) -> str:
    """The command that moves the service; a service that is not called like its model need not be the only one."""
    named = "" if service == reference.partition("@")[0] else f" --service {service}"
    return f"plimsoll promote {reference}{named}"


def _carried_out(
    target: Target,
    service: str,
    model: str,
    old: str,
    new: str,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> TakeOver:
    registry = model_registry(target.state)
    problem = ""
    try:
        mover = target.features.require(TRAFFIC)(model, service, say, stopped)
        with mover.exclusive():
            version = registry.find(f"{model}@{new}")
            registry.open(version)
            registry.require_servable(version)
            require_admitted(target.state, [version], f"the service of {version.reference}")
            done = move(mover, registry, version, AT_ONCE, lambda _: None, stopped)
        problem = "" if done.promoted else done.reason
    except (PlimsollError, OSError) as error:
        problem = error.on_one_line() if isinstance(error, PlimsollError) else str(error)
    if not problem:
        record_move(target.state, VersionMoved(service=service, model=model, old=old, new=new, cause="run"))
        text = f"service {service} moved from {model}@{old} to {model}@{new}"
        return TakeOver(service=service, old=old, new=new, moved=True, text=text)
    text = f"service {service} goes on with {model}@{old}: {model}@{new} could not take over: {problem}"
    return TakeOver(service=service, old=old, new=new, moved=False, text=text, problem=True)
