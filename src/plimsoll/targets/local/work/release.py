"""Registers a built index: its files and those of its embedding model, its lineage, its signature."""

from __future__ import annotations

import sys
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.indexes.layout import EMBEDDER, RERANKER, TOKENIZER, read_facts
from plimsoll.kinds.index import IndexResult
from plimsoll.kinds.index_release import ReleaseIndex, ReleaseResult
from plimsoll.registry.versions import Indexed, Lineage
from plimsoll.stores.naming import shown
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.models import model_for_use, model_registry

CHECK_LIMIT = 120.0
"""Seconds that a model of `rerank` has to read one pair, and a store to count what it has."""


def release(attempt: LocalAttempt[ReleaseIndex]) -> Progress:
    """Register the index. The same build gives the same version, however often it is registered."""
    work, state = attempt.work, attempt.context.state
    built = state.result(work.build_key, IndexResult)
    if built is None:
        raise TargetError(f"the result of {work.build} is missing", hint="run again to build the index")
    output = state.output(work.build_key)
    facts = read_facts(output)
    if facts.store is not None:
        # A result may be older than what has been done to its store since.
        argv = [sys.executable, "-m", "plimsoll.runtime.store_check", str(output)]
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
        if reason := (yield from run_together(attempt, [Command(argv=argv, environment=environment)], CHECK_LIMIT)):
            return failed(reason)
    files = {file.name: output / file.name for file in built.outputs}
    embedder = ""
    if work.embedder is not None:
        found, model = model_for_use(state, work.embedder, work.embedder_key)
        embedder = found.reference
        files |= _with_tokenizer(EMBEDDER, model)
    reranker = ""
    if work.reranker is not None:
        found, model = model_for_use(state, work.reranker, work.reranker_key)
        reranker = found.reference
        # What is no cross-encoder is an error of this run, and not of the first search.
        argv = [sys.executable, "-m", "plimsoll.runtime.cross_encoder_check", str(model)]
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
        if reason := (yield from run_together(attempt, [Command(argv=argv, environment=environment)], CHECK_LIMIT)):
            return failed(reason)
        files |= _with_tokenizer(RERANKER, model)
    version = model_registry(state).add(
        work.model,
        files,
        lineage=Lineage(
            run=attempt.context.run,
            step=attempt.step.name,
            key=attempt.step.key,
            data={each.name: each.digest for each in work.lineage if each.kind in {"source", "input"}},
            code={each.name: each.digest for each in work.lineage if each.kind == "code"},
            index=Indexed(
                search=facts.search,
                tokens=facts.tokens,
                overlap=facts.overlap,
                settings=work.columns,
                embedder=embedder,
                embedder_digest=facts.embedder,
                reranker=reranker,
                store=shown(facts.store) if facts.store is not None else "",
            ),
        ),
        metrics={"documents": facts.documents, "chunks": facts.chunks, "left_out": len(facts.unreadable)},
        accept={},
        anew=attempt.step.name in attempt.context.forced,
    )
    return done(
        ReleaseResult(version=version.version, digest=version.digest, accepted=version.accepted, name=work.model)
    )


def _with_tokenizer(name: str, model: Path) -> dict[str, Path]:
    """A model and its tokenizer as files of the index, which then needs nothing beside itself."""
    words = model.with_name(TOKENIZER)
    if not words.is_file():
        hint = f"register {TOKENIZER} with the model"
        raise TargetError(f"the model has no {TOKENIZER}", where=str(model.parent), hint=hint, lasting=True)
    return {name: model, f"{Path(name).parent}/{TOKENIZER}": words}
