"""Builds a search index in a process of its own, with the vectors of the index before it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.indexes.layout import notes_of, read_facts
from plimsoll.kinds.index import BuildIndex, IndexResult
from plimsoll.runtime.outputs import files_in
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.indexes import deleted_from, order_of
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.vector_places import new_place
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.models import model_for_use


def build_index(attempt: LocalAttempt[BuildIndex]) -> Progress:
    """Build the index."""
    work, state = attempt.work, attempt.context.state
    settings = work.place()
    place = new_place(state, work.index, attempt.step.key, settings) if settings is not None else None
    version, model = model_for_use(state, work.model, work.register_key) if work.model else (None, None)
    order = replace(
        order_of(
            work,
            threads=int(attempt.step.resources.cpu or 0),
            model=str(model) if model else None,
            earlier=_earlier(attempt),
        ),
        documents=str(input_path(work.documents, state)),
        output=str(attempt.output),
        deleted=deleted_from(state, work.index),
        store=place,
    )
    path = attempt.output.parent / "order.json"
    path.write_bytes(msgspec.json.encode(order))
    argv = [sys.executable, "-m", "plimsoll.runtime.indexer", str(path)]
    environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
    reason = yield from run_together(
        attempt, [Command(argv=argv, environment=environment, resources=attempt.step.resources)]
    )
    if reason:
        return failed(reason, lasting=True)
    facts = read_facts(attempt.output)
    return done(
        IndexResult(
            outputs=files_in(attempt.output),
            notes=notes_of(facts),
            documents=facts.documents,
            chunks=facts.chunks,
            embedded=facts.embedded,
            model=version.reference if version else None,
            left_out=len(facts.unreadable),
        )
    )


def _earlier(attempt: LocalAttempt[BuildIndex]) -> str | None:
    """The files of the newest index of this name, when they are as they were written."""
    state = attempt.context.state
    output = Path(state.latest, attempt.step.name)
    if attempt.work.model is None or not output.is_dir():
        return None
    found = state.result(output.resolve().parent.name, IndexResult)
    return str(output.resolve()) if found is not None else None
