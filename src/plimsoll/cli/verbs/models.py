"""`plimsoll models`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.model_actions import delete, require_one, require_two_at_most, write_version_code
from plimsoll.cli.model_cards import show_card
from plimsoll.cli.model_openssf import hold_against_openssf, sign_openssf
from plimsoll.cli.model_statements import show_statement
from plimsoll.cli.options import application_state, file_option, json_option, print_json
from plimsoll.cli.rows import number, print_rows
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.registry.comparison import VersionComparison
    from plimsoll.registry.models import ModelRegistry
    from plimsoll.registry.versions import ModelVersion


@click.command("models")
@click.argument("references", nargs=-1, shell_complete=completion.versions)
@file_option
@click.option("--tag", default=None, help="Tag the shown version as NAME:TAG.")
@click.option("--verify", is_flag=True, help="Verify the signature and every digest of the shown models.")
@click.option(
    "--push", default=None, metavar="REPOSITORY", help="Push the shown version with its signature to a registry."
)
@click.option("--cosign", is_flag=True, help="With --push: sign it there as cosign does, too.")
@click.option("--pull", default=None, metavar="REFERENCE", help="Pull a model from a registry, by its digest.")
@click.option(
    "--new-key",
    is_flag=True,
    help="As `plimsoll key rotate`: sign with a new key from now on, and all versions here with it.",
)
@click.option(
    "--code", default=None, type=click.Path(path_type=Path), metavar="DIR", help="Write a version's code there."
)
@click.option(
    "--sbom",
    type=click.Choice(["cyclonedx", "spdx"]),
    default=None,
    help="Print the signed bill of materials of a version, as JSON.",
)
@click.option("--provenance", is_flag=True, help="Show how a version was made: the signed provenance of SLSA.")
@click.option(
    "--openssf",
    default=None,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sign a version in OpenSSF's format too.",
)
@click.option(
    "--check-openssf",
    default=None,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Hold a version, or the directory of a model, against a signature in OpenSSF's format.",
)
@click.option("--card", is_flag=True, help="Print the card of a version, as Markdown or with --json.")
@click.option(
    "--card-to", default=None, type=click.Path(path_type=Path), metavar="DIR", help="Write a version's card into DIR."
)
@click.option("--delete", "deletes", is_flag=True, help="Delete the version NAME@NUMBER, unless something needs it.")
@click.option("--target", "targets", multiple=True, metavar="CONTEXT", help="With --delete: a cluster to ask too.")
@click.option("--accept-index", is_flag=True, help="Sign the registry's index as it is, after something changed it.")
@json_option
def command(
    references: Sequence[str],
    file: Path,
    tag: str | None,
    verify: bool,
    push: str | None,
    cosign: bool,
    pull: str | None,
    new_key: bool,
    code: Path | None,
    sbom: str | None,
    provenance: bool,
    openssf: Path | None,
    check_openssf: Path | None,
    card: bool,
    card_to: Path | None,
    deletes: bool,
    targets: Sequence[str],
    accept_index: bool,
    as_json: bool,
) -> None:
    """List models and indexes, show one (triage, triage@2, triage:TAG, indexes.manuals), or compare two."""
    from plimsoll.targets.models import model_registry

    _require_push(cosign, push)
    state = application_state(file, make=pull is not None)
    registry = model_registry(state)
    if new_key:
        _renew_key(registry, accept_index=accept_index, as_json=as_json)
        return
    if accept_index:
        registry.accept_index()
    if deletes or targets:
        delete(references, file, targets, asked=deletes, as_json=as_json)
        return
    if code is not None:
        write_version_code(registry, references, code, as_json=as_json)
        return
    if openssf is not None:
        sign_openssf(registry, references, openssf, as_json=as_json)
        return
    if check_openssf is not None:
        hold_against_openssf(registry, references, check_openssf, as_json=as_json)
        return
    if sbom is not None or provenance:
        show_statement(registry, references, sbom, as_json=as_json)
        return
    if card or card_to is not None:
        show_card(registry, state, references, card_to, as_json=as_json)
        return
    if pull is not None:
        references = [*references, _pull(registry, pull).reference]
    if push is not None:
        _push(registry, references, push, cosign=cosign, as_json=as_json)
        return
    require_two_at_most(references)
    versions = [registry.find(reference) for reference in references] or list(registry.versions())
    if tag is not None:
        require_one(references, "a tag", "--tag", "plimsoll models NAME@VERSION --tag TAG")
        registry.tag(versions[0], tag)
    for version in versions if verify else ():
        registry.open(version)
    _print(registry, references, versions, verified=verify, as_json=as_json)


def _print(
    registry: ModelRegistry,
    references: Sequence[str],
    versions: Sequence[ModelVersion],
    *,
    verified: bool,
    as_json: bool,
) -> None:
    from plimsoll.registry.code import code_of
    from plimsoll.registry.comparison import compare_versions

    if len(references) == 2:
        comparison = compare_versions(*versions)
        print_json(comparison) if as_json else _print_comparison(comparison, *references)
    elif references:
        stored = list(code_of(registry.layout, versions[0]))
        print_json(_entry(versions[0], stored)) if as_json else _print_one(
            registry, versions[0], stored, verified=verified
        )
    elif as_json:
        print_json({"models": versions})
    else:
        _print_all(registry, versions, verified=verified)


def _entry(version: ModelVersion, stored: Sequence[str]) -> dict[str, object]:
    """A version for other programs, with the names of the files of its code that are stored with it."""
    import msgspec

    return {**msgspec.to_builtins(version), "code_stored": stored}


def _renew_key(registry: ModelRegistry, *, accept_index: bool, as_json: bool) -> None:
    """Replace the signing key, and countersign what the keys before it have signed."""
    from plimsoll.cli.key_actions import rotate_here, say_rotated

    done = rotate_here(registry.keys, [registry], accept_index=accept_index)
    if as_json:
        print_json({"key": done.rotated.new, "signed": done.signed})
        return
    say_rotated(registry.keys, done)


def _pull(registry: ModelRegistry, text: str) -> ModelVersion:
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.registry.transfer import pull_model

    reference = parse_reference(text)
    if not reference.digest:
        hint = f"--pull {reference.name}@sha256:…, as --push printed it"
        raise FileError("a model is pulled by its digest, because a tag can move", where="--pull", hint=hint)
    with Repository(reference) as repository:
        return pull_model(repository, reference.digest, registry)


def _require_push(cosign: bool, push: str | None) -> None:
    if cosign and push is None:
        hint = "add --push REPOSITORY; what lies in a registry already: plimsoll image sign REFERENCE"
        raise FileError("signatures as cosign has them lie in a registry", where="--cosign", hint=hint)


def _push(registry: ModelRegistry, references: Sequence[str], text: str, *, cosign: bool, as_json: bool) -> None:
    from plimsoll.registry.cosign import sign_artifact
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.registry.transfer import push_model

    require_one(references, "a push", "--push", "plimsoll models NAME@VERSION --push REPOSITORY")
    version = registry.find(references[0])
    registry.blocked.require_free(version)
    with Repository(parse_reference(text)) as repository:
        pushed = push_model(registry, version, repository)
        if cosign:
            sign_artifact(repository, version.digest, registry.keys)
    print_json({"reference": str(pushed)}) if as_json else click.echo(str(pushed))


def _print_all(registry: ModelRegistry, versions: Sequence[ModelVersion], *, verified: bool) -> None:
    if not versions:
        click.echo("no models are registered yet")
        return
    tags, blocked = registry.tags(), registry.blocked
    brought = any(version.lineage.origin for version in versions)
    licence = ("LICENCE",) if brought else ()
    rows = [("MODEL", "TAGS", "CREATED", "ACCEPTED", *licence, "DIGEST", "FIGURES")]
    for version in versions:
        figures = [(name, value) for name, value in version.metrics.items() if not name.startswith("baseline_")]
        rows.append(
            (
                version.reference,
                ", ".join(tags.get(version.digest, ())),
                f"{version.created:%Y-%m-%d %H:%M}",
                "quarantine" if blocked.of(version) else "yes" if version.accepted else "no",
                *((_licence(version),) if brought else ()),
                version.digest[7:19],
                ", ".join(f"{name} {value:.4g}" for name, value in figures[:3]),
            )
        )
    print_rows(rows)
    if verified:
        click.echo(f"{len(versions)} verified: signatures and digests are valid")


def _licence(version: ModelVersion) -> str:
    """The licence of a model that was brought; nothing is known of one that was trained."""
    return (version.lineage.origin.licence or "not known") if version.lineage.origin else ""


def _print_one(registry: ModelRegistry, version: ModelVersion, stored: Sequence[str], *, verified: bool) -> None:
    click.echo(f"{version.reference}  {version.digest}")
    verdict = "accepted" if version.accepted else "not accepted: " + "; ".join(version.refusals)
    lineage = version.lineage
    facts: list[tuple[str, str]] = [
        ("created", f"{version.created:%Y-%m-%d %H:%M:%S} UTC by {version.author}"),
        ("verdict", verdict),
        *([("blocked", block.line())] if (block := registry.blocked.of(version)) is not None else []),
        *(("accept", f"{name} {bound}") for name, bound in version.accept.items()),
        *_made_by(version),
        *_based_on(version),
        ("run", lineage.run),
        *([("commit", f"{lineage.commit}{', with changes' if lineage.dirty else ''}")] if lineage.commit else []),
        *([("environment", lineage.environment[:12])] if lineage.environment else []),
        *(("data", f"{name}  {digest[:12]}") for name, digest in lineage.data.items()),
        *(("code", f"{name}  {digest[:12]}{_unstored(version, name)}") for name, digest in lineage.code.items()),
        *([("stored code", _stored(version, stored))] if lineage.code else []),
        *(("metric", f"{name}  {value:.6g}") for name, value in version.metrics.items()),
        *(("file", f"{name}  {entry.size} bytes  {entry.digest[7:19]}") for name, entry in version.files.items()),
    ]
    before = ""
    for kind, text in facts:
        click.echo(f"  {kind if kind != before else '':<12} {text}")
        before = kind
    if verified:
        click.echo("  verified: signature, manifest, lineage and every file are valid")


def _made_by(version: ModelVersion) -> list[tuple[str, str]]:
    """Where a brought model is from, what an index was built with, or how a model was trained."""
    lineage = version.lineage
    if origin := lineage.origin:
        return [
            ("source", origin.source),
            ("format", " ".join(filter(None, (origin.format, f"({origin.about})" if origin.about else "")))),
            ("licence", f"{_licence(version)}{', says ' + origin.licence_from if origin.licence_from else ''}"),
        ]
    if index := lineage.index:
        return [
            ("search", f"{index.search}, passages of {index.tokens} tokens at most with {index.overlap} in common"),
            *([("embedder", f"{index.embedder}  {index.embedder_digest[7:19]}")] if index.embedder else []),
            *([("reranker", index.reranker)] if index.reranker else []),
            *([("vectors", index.store)] if index.store else []),
            *(("setting", f"{name}: {value}") for name, value in index.settings.items()),
        ]
    return [("framework", version.framework), ("command", lineage.command)]


def _based_on(version: ModelVersion) -> list[tuple[str, str]]:
    """Which version an adapter is of; nothing of a model."""
    base = version.lineage.base
    return [("adapter of", f"{base.reference}  {base.digest[7:19]}"), ("adapter", base.about)] if base else []


def _unstored(version: ModelVersion, name: str) -> str:
    reason = version.lineage.left_out.get(name)
    return f"  (not stored: {reason})" if reason else ""


def _stored(version: ModelVersion, stored: Sequence[str]) -> str:
    if not stored:
        return "none: it was registered, or pulled, without its code"
    return f"{len(stored)} files; `plimsoll models {version.reference} --code DIR` writes them"


def _print_comparison(comparison: VersionComparison, first: str, second: str) -> None:
    rows = [("", first, second, "DIFFERENCE")]
    for name, (left, right) in comparison.metrics.items():
        difference = _difference(left, right) if comparison.comparable else None
        rows.append((name, number(left), number(right), number(difference, sign=True)))
    print_rows(rows)
    if comparison.metrics and not comparison.comparable:
        click.echo("the figures are not compared: they were measured on different data")
    for kind, names in comparison.changed.items():
        click.echo(f"{kind} changed: {', '.join(names)}" if names else f"{kind}: the same")


def _difference(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else right - left
