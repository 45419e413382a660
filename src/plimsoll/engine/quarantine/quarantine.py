"""Takes a version out of service: blocked first, so that nobody brings it back meanwhile, then without requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from plimsoll.engine.moves import VersionMoved, moves_of, record_move
from plimsoll.engine.promotion.promoting import AT_ONCE, move
from plimsoll.engine.quarantine.snapshot import take_snapshot
from plimsoll.errors import PlimsollError
from plimsoll.registry.author import current_author
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target
from plimsoll.targets.traffic import ExpelsVersions, TrafficMover


class Quarantined(Struct, frozen=True, kw_only=True):
    """What was done. `contained` says that no request reaches the version any more; `evidence` is a directory."""

    version: str
    digest: str
    service: str
    now: str
    contained: bool
    evidence: str
    notes: tuple[str, ...] = ()


def quarantine(
    target: Target,
    file: Path,
    service: str | None,
    *,
    reference: str | None,
    reason: str,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Quarantined:
    """Put a version in quarantine: by default the one that most requests of `service` go to.

    Raises PlimsollError when it is not known which version is meant, TargetError when it cannot be blocked.
    """
    registry = model_registry(target.state)
    mover, absent = _mover(target, registry, service, reference, say, stopped)
    if mover is None and reference is None:
        hint = f"name the version: plimsoll quarantine {service or 'SERVICE'} --version MODEL@NUMBER"
        raise PlimsollError(f"which version is to go is not known: {absent}", hint=hint)
    version = registry.find(reference or f"{mover.model}@{mover.leading()}" if mover is not None else str(reference))
    name = mover.service if mover is not None else service or ""
    registry.blocked.add(version, by=current_author(), service=name, reason=reason)
    say(f"{version.reference} is blocked: no run, promotion or rollback serves it")
    contained, now, notes = True, "", [absent] if absent else []
    if mover is not None:
        contained, now, problem = _contain(target, mover, registry, version, say, stopped)
        notes += [problem] if problem else []
    evidence = ""
    try:
        evidence = str(take_snapshot(target.state, file, name, version, reason))
    except PlimsollError as error:
        # The version is out of service, which matters more; that nothing was kept is told.
        notes.append(error.on_one_line())
    return Quarantined(
        version=version.reference,
        digest=version.digest,
        service=name,
        now=now,
        contained=contained,
        evidence=evidence,
        notes=tuple(notes),
    )


def lift(target: Target, reference: str) -> str:
    """End the quarantine of a version. Returns what it was in quarantine for. Raises PlimsollError."""
    registry = model_registry(target.state)
    return registry.blocked.lift(registry.find(reference)).line()


def _mover(
    target: Target,
    registry: ModelRegistry,
    service: str | None,
    reference: str | None,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> tuple[TrafficMover | None, str]:
    """The running service, or why there is none."""
    model = registry.find(reference).name if reference else None
    if service is None and model is None:
        raise PlimsollError("neither a service nor a version is named", hint="plimsoll quarantine SERVICE")
    try:
        return target.features.require(TRAFFIC)(model, service, say, stopped), ""
    except PlimsollError as error:
        return None, error.message


def _contain(
    target: Target,
    mover: TrafficMover,
    registry: ModelRegistry,
    version: ModelVersion,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> tuple[bool, str, str]:
    """Lead the requests away. Returns whether none reaches the version, which one has them now, and what is left."""
    bad, down = str(version.version), f"end the service: plimsoll down {mover.service}"
    try:
        with mover.exclusive():
            leading = mover.leading()
            if mover.model == version.name and leading == bad:
                good = _last_good(target, mover, registry, version)
                if good is None:
                    return False, leading, f"there is no other version that may be served; {down}"
                say(f"service {mover.service}: requests go from {version.reference} to {good.reference}")
                done = move(mover, registry, good, AT_ONCE, say, stopped)
                _record(target, mover, version, done.new, moved=done.promoted, reason=done.reason)
                if not done.promoted:
                    return False, leading, f"the requests could not be moved: {done.reason}; {down}"
                leading = done.new
            if isinstance(mover, ExpelsVersions):
                mover.expel(bad)
                return True, leading, ""
    except PlimsollError as error:
        return False, "", f"the requests could not be moved: {error.on_one_line()}; {down}"
    return True, leading, f"{version.reference} stays loaded without a share until the service is applied again"


def _last_good(target: Target, mover: TrafficMover, registry: ModelRegistry, bad: ModelVersion) -> ModelVersion | None:
    """The last version that had the requests and may have them, else the newest that may be served."""
    for number in dict.fromkeys(_candidates(target, mover, registry, bad)):
        try:
            version = registry.find(f"{bad.name}@{number}")
            registry.require_servable(version)
            registry.open(version)
        except PlimsollError:
            continue
        return version
    return None


def _candidates(target: Target, mover: TrafficMover, registry: ModelRegistry, bad: ModelVersion) -> Iterator[str]:
    former = mover.former()
    if former:
        yield former
    moves = [each for _, each in moves_of(target.state, mover.service) if each.model == bad.name and each.moved]
    for each in reversed(moves):
        yield from (number for number in (each.new, each.old) if number)
    yield from (str(version.version) for version in reversed(registry.versions(bad.name)))


def _record(target: Target, mover: TrafficMover, version: ModelVersion, new: str, *, moved: bool, reason: str) -> None:
    record_move(
        target.state,
        VersionMoved(
            service=mover.service,
            model=version.name,
            old=str(version.version),
            new=new,
            cause="quarantine",
            moved=moved,
            reason=reason,
        ),
    )
