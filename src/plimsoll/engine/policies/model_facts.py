"""What is known of a registered version for policies: signature, statements, files."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from plimsoll.errors import ModelRefused, PlimsollError
from plimsoll.policy.facts import Document, FileFacts, ModelFacts, OriginFacts, ScreenFacts
from plimsoll.registry.attestations import read_attestation
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.supply import cyclonedx, model_card
from plimsoll.supply import provenance as slsa
from plimsoll.supply.model_files import judge_file

EVERYTHING = frozenset({"signed", "provenance", "sbom", "scanned", "screened"})
"""All that can be asked about a version."""


def model_facts(
    registry: ModelRegistry,
    version: ModelVersion,
    wanted: Collection[str],
    *,
    place: str = "",
    used_by: Iterable[str] = (),
) -> ModelFacts:
    """The facts of a version; `wanted` says what is looked at, because files may be large."""
    signed_by, signature = _signed(registry, version) if "signed" in wanted else ("", "")
    provenance, provenance_problem = _stated(registry, version, slsa.PREDICATE, asked="provenance" in wanted)
    sbom, sbom_problem = _stated(registry, version, cyclonedx.PREDICATE, asked="sbom" in wanted)
    screens, membership, screens_problem = _screened(registry, version) if "screened" in wanted else (None, None, "")
    files, damage = _files(registry, version) if "scanned" in wanted else (None, "")
    lineage, origin = version.lineage, version.lineage.origin
    return ModelFacts(
        reference=version.reference,
        name=version.name,
        version=version.version,
        digest=version.digest,
        created=f"{version.created:%Y-%m-%dT%H:%M:%SZ}",
        author=version.author,
        framework=version.framework,
        accepted=version.accepted,
        place=place,
        used_by=tuple(used_by),
        refusals=tuple(version.refusals),
        metrics=dict(version.metrics),
        run=lineage.run,
        commit=lineage.commit,
        dirty=lineage.dirty,
        data=dict(lineage.data),
        code=dict(lineage.code),
        origin=OriginFacts(
            source=origin.source,
            sha256=origin.sha256,
            format=origin.format,
            licence=origin.licence,
            licence_from=origin.licence_from,
        )
        if origin is not None
        else None,
        signed_by=signed_by,
        signature=signature or damage,
        provenance=provenance,
        provenance_problem=provenance_problem,
        sbom=sbom,
        sbom_problem=sbom_problem,
        files=files,
        screens=screens,
        screens_problem=screens_problem,
        membership=membership,
    )


def _signed(registry: ModelRegistry, version: ModelVersion) -> tuple[str, str]:
    """The trusted key that has signed a version, or why there is none."""
    try:
        return registry.signer(version), ""
    except PlimsollError as error:
        return "", error.on_one_line()


def _stated(
    registry: ModelRegistry, version: ModelVersion, predicate: str, *, asked: bool
) -> tuple[Document | None, str]:
    """What a trusted key states about a version, or why that is not known."""
    if not asked:
        return None, ""
    try:
        found = read_attestation(registry.layout, registry.attestations(version), version, predicate, registry.keys)
    except ModelRefused as error:
        return None, error.on_one_line()
    return (found.predicate, "") if found is not None else (None, "")


def _screened(
    registry: ModelRegistry, version: ModelVersion
) -> tuple[tuple[ScreenFacts, ...] | None, Document | None, str]:
    """What the signed card of a version says of its data and of attacks on it, or why there is none."""
    stated, problem = _stated(registry, version, model_card.PREDICATE, asked=True)
    if stated is None:
        return None, None, problem or "it has no card that a trusted key has signed"
    try:
        card = msgspec.convert(stated, type=model_card.ModelCard)
    except msgspec.ValidationError as error:
        return None, None, f"its card cannot be read: {error}"
    screens = tuple(ScreenFacts(**msgspec.structs.asdict(each)) for each in card.screens)
    membership: Document | None = msgspec.to_builtins(card.membership)
    return screens, membership, ""


def _files(registry: ModelRegistry, version: ModelVersion) -> tuple[tuple[FileFacts, ...] | None, str]:
    """What loading the files of a version would do, or why they cannot be read."""
    try:
        return _scanned(registry, version), ""
    except PlimsollError as error:
        return None, error.on_one_line()


def _scanned(registry: ModelRegistry, version: ModelVersion) -> tuple[FileFacts, ...]:
    opened = registry.open(version)
    return tuple(
        FileFacts(path=found.what, verdict=found.verdict, reasons=found.reasons)
        for found in (judge_file(path, name) for name, path in sorted(opened.files.items()))
    )
