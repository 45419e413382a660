"""What the card of a version is made of, as far as it lies on this machine."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.card import CardPlan
from plimsoll.kinds.register import Register
from plimsoll.kinds.screen import ScreenResult
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.explain.summed import Summary
from plimsoll.runtime.model_digests import digest_options
from plimsoll.state.directory import StateDirectory
from plimsoll.supply.held_out import judged
from plimsoll.supply.model_card import DataFacts, DataScreen, Evidence, Explained, FeatureShare
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.models import digests_of, onnx_name
from plimsoll.targets.table_facts import facts_of

EXPLAIN_LIMIT = 300.0
"""Seconds for the explanations that a card sums up."""
SUMMARY = "summary.json"


def evidence(
    attempt: LocalAttempt[Register], registry: ModelRegistry, version: ModelVersion, output: Path
) -> Generator[Observation, None, Evidence]:
    """What the card tells besides the version's record. `output` has the files of its training."""
    plan, state = attempt.work.card, attempt.context.state
    trained = version.lineage.origin is None
    figures, figures_note = judged(output, plan.groups) if trained else (None, "")
    found, note = yield from _explained(attempt, registry, version)
    return Evidence(
        data=tuple(_data(attempt, plan, state)),
        judged=figures,
        judged_note=figures_note,
        explained=found,
        explained_note=note,
    )


def _data(attempt: LocalAttempt[Register], plan: CardPlan, state: StateDirectory) -> Iterator[DataFacts]:
    keys = {part.name: part.digest for part in attempt.work.lineage if part.kind in {"source", "input"}}

    def check() -> None:
        if attempt.stopped:
            raise TargetError("stopped")

    for each in plan.data:
        name = f"{each.name}/{each.file}" if each.file else each.name
        try:
            found = list(facts_of(name, input_path(each, state), plan.period, check))
        except TargetError as error:
            found = [DataFacts(name=name, note=f"its rows are not on this machine: {error.message}")]
        yield from (msgspec.structs.replace(one, digest=keys.get(name, "")) for one in found)


def data_screens(work: Register, state: StateDirectory) -> Iterator[DataScreen]:
    """What the screens of the training's rows have found."""
    for each in work.screens:
        name = each.step.partition("/")[2]
        found = state.result(each.key, ScreenResult)
        if found is None:
            yield DataScreen(screen=name, note="its result is not on this machine")
            continue
        yield DataScreen(
            screen=name,
            table=found.table,
            rows=found.rows,
            held_out=found.held_out,
            figures=found.metrics,
            accept=found.bounds,
            unmeasured=found.unmeasured,
            first=found.first,
            findings=tuple(one.line() for one in found.findings),
            sha256=found.sha256,
        )


def _explained(
    attempt: LocalAttempt[Register], registry: ModelRegistry, version: ModelVersion
) -> Generator[Observation, None, tuple[Explained | None, str]]:
    """The explanations over the rows of the file's table; or why there are none. They never fail a registration."""
    table, state = attempt.work.card.explain, attempt.context.state
    if table is None:
        return None, ""
    name = f"{table.name}/{table.file}" if table.file else table.name
    written = attempt.directory / SUMMARY
    try:
        model = registry.open(version).files[onnx_name(version)]
        argv = [sys.executable, "-m", "plimsoll.runtime.explain.summary", "--model", str(model)]
        argv += ["--table", str(input_path(table, state)), "--output", str(written)]
        command = Command(
            argv=[*argv, *digest_options(digests_of(version, model))],
            environment={**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)},
            resources=attempt.step.resources,
        )
        if reason := (yield from run_together(attempt, [command], EXPLAIN_LIMIT)):
            return None, f"explanation summary: {reason}"
        found = msgspec.json.decode(written.read_bytes(), type=Summary)
    except (PlimsollError, OSError, *UNREADABLE) as error:
        return None, f"explanation summary: {error}"
    finally:
        written.unlink(missing_ok=True)
    total = found.total or 1.0
    features = tuple(FeatureShare(name=each, mean=mean, share=mean / total) for each, mean in found.features)
    return Explained(data=name, rows=found.rows, method=found.method, features=features, more=found.more), ""
