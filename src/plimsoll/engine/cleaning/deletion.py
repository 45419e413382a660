"""Deletes one version of a model, unless something needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from msgspec import Struct

from plimsoll.application.application import ApplicationSpec
from plimsoll.engine.cleaning.kept import kept_of, planned_runs, states_beside
from plimsoll.engine.run_comparison import planned_run
from plimsoll.errors import FileError, PlimsollError
from plimsoll.kinds.batch import BATCHES
from plimsoll.kinds.failover import Standby
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.llm import LLMS
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.serve import Serve, ServeResult
from plimsoll.kinds.service import SERVICES
from plimsoll.planning.kind import Kind, P
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.sweeping import alone_in, sweepable
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.beginning import none_beginning
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import holder
from plimsoll.state.removing import remove_whole
from plimsoll.state.sizes import Inodes, size_of
from plimsoll.targets.features import USES, VersionUse
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target


class Deleted(Struct, frozen=True, kw_only=True):
    """The version that is gone, the bytes that are free, and what the bare name of its model means now, if anything."""

    version: str
    size: int
    newest: str | None


def delete_version(
    reference: str, application: ApplicationSpec, target: Target, others: Sequence[Target] = ()
) -> Deleted:
    """Delete the version that `reference` names by its number. `others` are clusters that are asked for their services.

    Raises FileError for a reference without a number, and PlimsollError that says who needs the version.
    """
    if "@" not in reference:
        hint = f"name the version by its number: plimsoll models {reference.partition(':')[0]}@NUMBER --delete"
        raise FileError(f"'{reference}' may mean another version tomorrow", where="--delete", hint=hint)
    state = target.state
    registry = model_registry(state)
    with none_beginning(state.gate):
        version = registry.find(reference)
        _require_unneeded(registry, version, [*needs_of(version, application, state, target, others)])
        registry.delete([version])
        with alone_in(registry):
            files = sweepable(registry, used=_files(target))
            seen: Inodes = set()
            size = sum(size_of(path, seen) for path in files)
            for path in files:
                remove_whole(path, state.removed)
    left = registry.versions(version.name)
    return Deleted(version=version.reference, size=size, newest=left[-1].reference if left else None)


def needs_of(
    version: ModelVersion,
    application: ApplicationSpec,
    state: StateDirectory,
    target: Target,
    others: Sequence[Target] = (),
) -> Iterator[str]:
    """Who needs a version, in words."""
    for name in model_registry(state).tags().get(version.digest, ()):
        yield f"the tag {version.name}:{name}"
    yield from (use.who for use in _uses(target) if use.reference == version.reference)
    yield from _pinned(version, application)
    yield from _runs(version, state)
    for other in others:
        found = (use for use in _uses(other) if use.reference == version.reference)
        yield from (f"{use.who} on {other.name}" for use in found)
        yield from _runs(version, other.state)
    asked = {other.state.root for other in others}
    for beside in states_beside(state):
        if beside.root not in asked:
            yield from _runs(version, beside)
            yield from _perhaps_served(version, beside)


def _uses(target: Target) -> Sequence[VersionUse]:
    return target.features.require(USES)() if USES in target.features else ()


def _files(target: Target) -> list[str]:
    return [file for use in _uses(target) for file in use.files]


def _pinned(version: ModelVersion, application: ApplicationSpec) -> Iterator[str]:
    """Parts of the file that name the version by its number."""

    def naming(kind: Kind[P], named: Callable[[P], Collection[str | None]]) -> Iterator[str]:
        for name, part in kind.of(application).items():
            if version.reference in named(part):
                yield f"{kind.key}.{name} of the file"

    yield from naming(SERVICES, lambda service: service.references)
    yield from naming(BATCHES, lambda batch: [batch.model])
    yield from naming(INDEXES, lambda index: [index.embed, index.rerank])
    yield from naming(LLMS, lambda llm: llm.references)
    yield from naming(MODELS, lambda model: [model.base])


def _runs(version: ModelVersion, state: StateDirectory) -> Iterator[str]:
    """The run under way, when it has registered the version or names it."""
    who = holder(state.lock)
    if who is None:
        return
    planned = planned_run(state, who.run)
    named = planned is not None and any(
        (kind, name) == ("input", version.reference) for step in planned.steps for kind, name, _ in step.ingredients
    )
    if named or version.lineage.run == who.run or version.digest in kept_of(state, 0).versions:
        yield f"run {who.run}, which is under way in process {who.pid}"


def _perhaps_served(version: ModelVersion, state: StateDirectory) -> Iterator[str]:
    """A target that was not asked, and where a service of the model has been brought up."""
    for planned in planned_runs(state):
        keys = [step.key for step in planned.steps if step.name.startswith((f"{Serve.verb}/", f"{Standby.verb}/"))]
        results = [state.result(key, ServeResult) for key in keys]
        served = {name.partition("@")[0] for result in results if result for name in result.model.split(", ")}
        if version.name in served:
            yield (
                f"perhaps a service on {planned.target}, which has served the model (ask it with --target "
                f"{planned.target}; if it is gone for good, delete {state.root})"
            )
            return


def _require_unneeded(registry: ModelRegistry, version: ModelVersion, needs: Sequence[str]) -> None:
    if needs:
        raise PlimsollError(
            f"{version.reference} is needed by {'; '.join(dict.fromkeys(needs))}",
            where=str(registry.layout.root),
            hint="have them use another version first, or let it be",
        )
