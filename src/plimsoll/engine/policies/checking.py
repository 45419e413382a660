"""What `plimsoll policy` judges: a plan, a registered version, manifests, an evidence bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from plimsoll.application.loading import ApplicationFile
from plimsoll.decoding import UNREADABLE
from plimsoll.documents.places import display_path
from plimsoll.engine.policies.gathering import Gatherer
from plimsoll.engine.policies.manifests import ENDINGS, read_manifests
from plimsoll.engine.preparation import Prepared
from plimsoll.errors import FileError, PlimsollError
from plimsoll.evidence.bundle import ENVELOPE, MANIFEST, check_seal
from plimsoll.kinds.table import KINDS
from plimsoll.policy.facts import BundleFacts, Facts
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.models import model_registry

_VERDICTS = "verdicts.json"


def facts_of_plan(prepared: Prepared) -> Facts:
    """The facts of a plan."""
    return Gatherer(prepared.file, prepared.kinds, prepared.plan, prepared.state).of_plan()


def facts_of_things(file: ApplicationFile, things: Sequence[str]) -> Facts:
    """The facts of what is named: versions such as triage@2, manifests, and evidence bundles.

    Raises FileError for what is none of these, and PlimsollError for a version that is not there.
    """
    found = Facts(stage="check", application=file.application.name, file=str(file.path))
    for thing in things:
        path = Path(thing)
        if _is_bundle(path):
            found = msgspec.structs.replace(found, bundles=(*found.bundles, _bundle(path)))
        elif path.is_dir() or path.suffix in ENDINGS:
            found = msgspec.structs.replace(found, objects=(*found.objects, *read_manifests(path)))
        elif path.exists() or "/" in thing:
            hint = f"name a version such as triage@2, manifests ({', '.join(ENDINGS)}), or an evidence bundle"
            message = "there are no policies for this kind of file" if path.exists() else "there is no such file"
            raise FileError(message, where=display_path(path), hint=hint)
        else:
            version = _version(file, thing)
            found = msgspec.structs.replace(
                found,
                models=(*found.models, *version.models),
                sources=(*found.sources, *version.sources),
            )
    return found


def loaded(path: Path) -> ApplicationFile:
    """The file whose policies are asked about. Raises FileError, also for one that has none."""
    file = KINDS.load(path)
    KINDS.check(file, None)
    if not file.application.policies.any:
        hint = "add spec.policies; see docs/policies.md"
        raise FileError("the file has no policies", where=file.where("spec"), hint=hint)
    return file


def _version(file: ApplicationFile, reference: str) -> Facts:
    state = StateDirectory(file.directory)
    try:
        version = model_registry(state).find(reference)
    except PlimsollError as error:
        hint = f"{error.hint}; a file beside you is named as ./{reference}" if error.hint else error.hint
        raise type(error)(error.message, where=error.where, hint=hint) from error
    return Gatherer(file, KINDS, None, state).of_version(version, "check")


def _is_bundle(path: Path) -> bool:
    return path.is_dir() and ((path / ENVELOPE).exists() or (path / MANIFEST).exists())


def _bundle(path: Path) -> BundleFacts:
    seal = check_seal(path, KeyRing.default())
    problems = list(seal.problems)
    verdicts: list[dict[str, object]] = []
    if (path / _VERDICTS).exists():
        try:
            verdicts = msgspec.json.decode((path / _VERDICTS).read_bytes(), type=list[dict[str, object]])
        except (*UNREADABLE, OSError):
            problems.append(f"{_VERDICTS}: it cannot be read")
    return BundleFacts(
        path=str(path),
        signed_by=seal.signer,
        problems=tuple(problems),
        predicate=seal.predicate,
        verdicts=tuple(verdicts),
    )
