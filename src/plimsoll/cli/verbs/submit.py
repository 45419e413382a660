"""`plimsoll submit`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import json_option, print_json
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.submission.filing import Filed
    from plimsoll.submission.finding import Finding

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_READ = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("submit")
@click.option("--bundle", required=True, type=_FOLDER, help="The evidence bundle of a check.")
@click.option("--template", type=_READ, help="The official template of the bundle's version.")
@click.option("--download", "fetch", is_flag=True, help="Fetch the template from where it is published.")
@click.option("--metadata", "metadata_file", type=_READ, help="YAML with vendorName, platformName, websiteUrl …")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="One metadata field; can be repeated.")
@click.option("--artifacts", type=_FOLDER, help="Where the official suite left junit.xml, results.json, e2e.log.")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new directory, best vX.Y/PRODUCT.",
)
@json_option
def command(
    bundle: Path,
    template: Path | None,
    fetch: bool,
    metadata_file: Path | None,
    pairs: tuple[str, ...],
    artifacts: Path | None,
    output: Path,
    as_json: bool,
) -> int:
    """Fill the official questionnaire in from an evidence bundle: what it shows, and nothing that it does not.

    Ends with 0 when every MUST is answered, 3 when one is left open, 1 when the bundle is not as it was signed, 2 for
    wrong usage.
    """
    from plimsoll.capabilities.bundle_reader import open_bundle
    from plimsoll.signing.keys import KeyRing
    from plimsoll.submission.filing import read_artifacts, read_metadata, require_whole, write_submission

    opened = open_bundle(bundle, KeyRing.default())
    require_whole(opened)
    metadata = read_metadata(metadata_file, pairs)
    official = read_artifacts(artifacts)
    if template is None and not fetch:
        from plimsoll.submission.official import PAGE

        hint = f"save {PAGE.format(version=opened.version)} and name it with --template, or say --download"
        raise FileError("no template is named", hint=hint)
    if template is not None:
        filed = write_submission(opened, template, metadata, official, output)
    else:
        from plimsoll.submission.official import download

        with tempfile.TemporaryDirectory(prefix="plimsoll-") as folder:
            fetched = Path(folder) / f"AIConformance-{opened.version}.yaml"
            fetched.write_bytes(download(opened.version))
            filed = write_submission(opened, fetched, metadata, official, output)
    print_json(filed) if as_json else _print(filed)
    return filed.status


def _print(filed: Filed) -> None:
    wide = max(len(each.requirement) for each in filed.answers)
    for each in filed.answers:
        told = each.notes.splitlines()[0] if each.status else each.why
        click.echo(f"{each.level:<6} {each.requirement:<{wide}}  {each.status or 'left open':<11}  {told}")
    for name, counts in filed.artifacts.items():
        said = ", ".join(f"{count} {word}" for word, count in counts.items())
        click.echo(f"official {name}: {said}")
    for name, reason in filed.refused.items():
        click.echo(f"official {name} was not taken in: {reason}")
    if filed.altered:
        click.echo(f"the template's text is not the published one for: {', '.join(filed.altered)}")
    _list("for you to supply", filed.to_supply)
    _list("found by plimsoll lint", filed.findings)
    click.echo(f"\nwritten: {filed.output}")


def _list(title: str, findings: tuple[Finding, ...]) -> None:
    if findings:
        click.echo(f"\n{title}:")
        for each in findings:
            click.echo(f"  line {each.line}: {each.severity.value} {each.rule}: {each.why}; {each.fix}")
