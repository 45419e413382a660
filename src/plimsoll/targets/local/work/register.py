"""Registers a trained model: content, lineage, signature, acceptance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.errors import TargetError
from plimsoll.evidence.secrets import without_secrets
from plimsoll.kinds.adapters import name_of
from plimsoll.kinds.brought import BringResult
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.train import TrainResult
from plimsoll.planning.steps import Ingredient
from plimsoll.screens.attack import FIGURES as FIGURES_OF_ATTACKS
from plimsoll.screens.attack import Membership
from plimsoll.state.code_files import CodeFiles, Revision
from plimsoll.supply.admission import unclean
from plimsoll.supply.model_card import DataScreen, model_card
from plimsoll.targets.adapters import adapter_of
from plimsoll.targets.attempt import STOPPED, Progress, done
from plimsoll.targets.cards import attach_card
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.work.card import data_screens, evidence
from plimsoll.targets.local.work.membership import membership
from plimsoll.targets.models import model_registry
from plimsoll.targets.serving_hints import adapter_without_server, without_server
from plimsoll.targets.supplies import attest

if TYPE_CHECKING:
    from plimsoll.registry.versions import Lineage, Origin

FIGURES = {"metrics.json", "metrics.jsonl", "predictions.csv"}
"""Figures of the training; they stay in the training's result and are not part of the model."""


def register(attempt: LocalAttempt[Register]) -> Progress:
    """Register the files of rank 0. Registering the same training again gives the same version.

    A training that was forced may have come to other files: its version is a new one when it is registered anew.
    """
    yield from ()
    work = attempt.work
    state = attempt.context.state
    trained = state.result(work.train_key, TrainResult)
    if trained is None:
        raise TargetError(f"the result of {work.train} is missing", hint="run again to repeat the training")
    output = state.output(work.train_key)
    files = {file.name: output / file.name for file in trained.outputs if file.name not in FIGURES}
    if not files:
        raise TargetError(
            f"{work.train} wrote no model to $PLIMSOLL_OUTPUT",
            hint="write model.onnx there; only the files of rank 0 count",
        )
    base = adapter_of(state, work.base, files, f"models.{work.model}") if work.base is not None else None
    kept = CodeFiles(state.code)
    code = kept.found(_digests(work.lineage, "code"))
    registry = model_registry(state)
    attacked, attack_note = yield from membership(attempt, files)
    version = registry.add(
        work.model,
        files,
        lineage=replace(_lineage(attempt, kept, code), base=base),
        metrics=_metrics(work, trained.metrics, attacked),
        accept=work.accept,
        refusals=unclean(files) if work.scanned else (),
        code=code,
        anew=attempt.step.name in attempt.context.forced,
    )
    environment = next((part.name for part in work.lineage if part.kind == "environment"), "")
    screens = tuple(data_screens(work, state))
    attest(registry, version, environment, attempt.context.directory, [*map(_byproduct, screens)])
    found = yield from evidence(attempt, registry, version, output)
    found = replace(found, screens=screens, membership=attacked, membership_note=attack_note)
    if attempt.stopped:
        return STOPPED
    attach_card(registry, version, model_card(version, work.card, found))
    return done(
        RegisterResult(
            version=version.version,
            digest=version.digest,
            metrics=version.metrics,
            accepted=version.accepted,
            refusals=tuple(version.refusals),
            base=base.reference if base is not None else "",
            notes=tuple(filter(None, (_told(work, files), found.explained_note, attack_note))),
        )
    )


def _metrics(work: Register, written: Mapping[str, float], attacked: Membership | None) -> Mapping[str, float]:
    """The figures of a training; those of an attack are the ones that were measured here, whatever it wrote."""
    if work.membership is None:
        return written
    own = {name: value for name, value in written.items() if name not in FIGURES_OF_ATTACKS}
    return own | (attacked.figures() if attacked is not None else {})


def _byproduct(screen: DataScreen) -> Mapping[str, object]:
    """A screen's report as provenance names it."""
    digest = {"digest": {"sha256": screen.sha256}} if screen.sha256 else {}
    figures = {name: f"{value:.6g}" for name, value in screen.figures.items()}
    told = {"table": screen.table, "bounds": dict(screen.accept), "figures": figures, "note": screen.note}
    annotations = {name: value for name, value in told.items() if value}
    return {"name": f"screen/{screen.screen}", **digest, "annotations": annotations}


def _told(work: Register, files: Collection[str]) -> str:
    """How to serve what nothing of the file serves yet; empty when something does."""
    if work.served_by_code:
        return ""
    if work.base is not None:
        return adapter_without_server(work.model, name_of(work.base.reference))
    return without_server(work.model, files)


def _lineage(attempt: LocalAttempt[Register], kept: CodeFiles, stored: Collection[str]) -> Lineage:
    """The lineage of a training; `stored` are the names of the files of its code that go with the version."""
    from plimsoll.registry.versions import Lineage

    work = attempt.work
    origin = _origin(attempt, work) if work.source else None
    revision = kept.revision(work.train_key) or Revision()
    code = _digests(work.lineage, "code")
    return Lineage(
        origin=origin,
        run=attempt.context.run,
        step=work.train,
        key=work.train_key,
        data={"source": origin.sha256} if origin else _digests(work.lineage, "source", "input"),
        code=code,
        environment=next((part.digest for part in work.lineage if part.kind == "environment"), ""),
        command=work.command,
        framework=work.framework,
        commit=revision.commit,
        dirty=revision.dirty,
        left_out={name: kept.reason(digest) for name, digest in code.items() if name not in stored},
    )


def _origin(attempt: LocalAttempt[Register], work: Register) -> Origin:
    from plimsoll.registry.versions import Origin

    brought = attempt.context.state.result(work.train_key, BringResult) or BringResult()
    return Origin(
        # The query of an address may be a signature, which lets whoever has it in.
        source=without_secrets(work.source.partition("?")[0] if "://" in work.source else work.source),
        sha256=brought.sha256,
        format=brought.format,
        about=brought.about,
        licence=brought.licence,
        licence_from=brought.licence_from,
        licences=work.licences,
    )


def _digests(ingredients: Iterable[Ingredient], *kinds: str) -> dict[str, str]:
    return {part.name: part.digest for part in ingredients if part.kind in kinds}
