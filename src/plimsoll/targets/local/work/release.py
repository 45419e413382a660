"""Registers a built index: its files and those of its embedding model, its lineage, its signature."""

from __future__ import annotations

from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.indexes.layout import EMBEDDER, read_facts
from plimsoll.kinds.index import IndexResult
from plimsoll.kinds.index_release import ReleaseIndex, ReleaseResult
from plimsoll.registry.versions import Indexed, Lineage
from plimsoll.targets.attempt import Progress, done
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.models import model_for_use, model_registry


def release(attempt: LocalAttempt[ReleaseIndex]) -> Progress:
    """Register the index. The same build gives the same version, however often it is registered."""
    yield from ()
    work, state = attempt.work, attempt.context.state
    built = state.result(work.build_key, IndexResult)
    if built is None:
        raise TargetError(f"the result of {work.build} is missing", hint="run again to build the index")
    output = state.output(work.build_key)
    facts = read_facts(output)
    files = {file.name: output / file.name for file in built.outputs}
    embedder = ""
    if work.embedder is not None:
        found, model = model_for_use(state, work.embedder, work.embedder_key)
        embedder = found.reference
        files |= embedder_files(model)
    version = model_registry(state).add(
        work.model,
        files,
        lineage=Lineage(
            run=attempt.context.run,
            step=work.build,
            key=work.build_key,
            data={each.name: each.digest for each in work.lineage if each.kind in {"source", "input"}},
            code={each.name: each.digest for each in work.lineage if each.kind == "code"},
            index=Indexed(
                search=facts.search,
                tokens=facts.tokens,
                overlap=facts.overlap,
                settings=work.columns,
                embedder=embedder,
                embedder_digest=facts.embedder,
            ),
        ),
        metrics={"documents": facts.documents, "chunks": facts.chunks, "left_out": len(facts.unreadable)},
        accept={},
        anew=attempt.step.name in attempt.context.forced,
    )
    return done(
        ReleaseResult(version=version.version, digest=version.digest, accepted=version.accepted, name=work.model)
    )


def embedder_files(model: Path) -> dict[str, Path]:
    """The embedding model and its tokenizer as files of the index, which then needs nothing beside itself."""
    return {EMBEDDER: model, f"{Path(EMBEDDER).parent}/tokenizer.json": model.with_name("tokenizer.json")}
