"""What `plimsoll models` prints of the signed statements about a version: bills of materials and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from plimsoll.cli.model_actions import require_one
from plimsoll.cli.options import print_json
from plimsoll.errors import ModelRefused

if TYPE_CHECKING:
    from plimsoll.registry.attestations import Attested
    from plimsoll.registry.models import ModelRegistry


def show_statement(registry: ModelRegistry, references: Sequence[str], sbom: str | None, *, as_json: bool) -> None:
    """Print the bill of materials in a format, or the provenance; both are verified first."""
    from plimsoll.registry.attestations import read_attestation
    from plimsoll.supply import provenance
    from plimsoll.supply.rendering import FORMATS

    option = "--sbom" if sbom else "--provenance"
    require_one(references, "a statement", option, f"plimsoll models NAME@VERSION {option}{' ' + sbom if sbom else ''}")
    version = registry.find(references[0])
    registry.open(version)
    kind = FORMATS[sbom][0] if sbom else provenance.PREDICATE
    found = read_attestation(registry.layout, registry.attestations(version), version, kind, registry.keys)
    if found is None:
        what = "bill of materials" if sbom else "provenance"
        raise ModelRefused(
            f"{version.reference} has no {what}",
            where=str(registry.layout.root),
            hint="models that are registered from now on have one: run the training again with --force",
        )
    if sbom or as_json:
        print_json(found.predicate)
    else:
        _print_provenance(version.reference, found)


def _print_provenance(reference: str, found: Attested) -> None:
    from plimsoll.cli.terminal import one_line
    from plimsoll.supply.provenance import LEVEL_WORDS

    definition, details = _mapping(found.predicate, "buildDefinition"), _mapping(found.predicate, "runDetails")
    facts = [
        ("signed by", found.signed_by),
        ("built by", str(_mapping(details, "builder").get("id", ""))),
        ("built as", str(definition.get("buildType", ""))),
        *((name, str(value)) for name, value in _mapping(definition, "externalParameters").items()),
        ("run", str(_mapping(details, "metadata").get("invocationId", ""))),
        ("finished", str(_mapping(details, "metadata").get("finishedOn", ""))),
        *(("made of", text) for text in _materials(definition)),
        ("level", LEVEL_WORDS),
    ]
    click.echo(f"provenance of {one_line(reference)}")
    for name, text in facts:
        click.echo(f"  {one_line(name):<10} {one_line(text)}")


def _materials(definition: Mapping[str, object]) -> list[str]:
    materials = definition.get("resolvedDependencies")
    found = [each for each in materials if isinstance(each, dict)] if isinstance(materials, list) else []
    return [
        f"{_mapping(each, 'annotations').get('kind', '')} {each.get('name', '')}"
        f"  {' '.join(f'{kind}:{digest}' for kind, digest in _mapping(each, 'digest').items())}"
        for each in found
    ]


def _mapping(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
