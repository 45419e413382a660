"""`plimsoll submit`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import json_option, print_json
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.capabilities.bundle_reader import Bundle
    from plimsoll.submission.finding import LintFinding
    from plimsoll.submission.submission_directory import SuiteArtifacts, WrittenSubmission

_DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)
_READ = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("submit")
@click.option("--bundle", required=True, type=_DIRECTORY, help="Evidence bundle of a check.")
@click.option("--template", type=_READ, help="Official template of the bundle's version.")
@click.option("--download", is_flag=True, help="Download the template from the programme's repository.")
@click.option("--metadata", "metadata_file", type=_READ, help="YAML file with vendorName, platformName, websiteUrl …")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="One metadata field; repeatable.")
@click.option(
    "--artifacts",
    "artifacts_directory",
    type=_DIRECTORY,
    help="Directory with junit.xml, results.json, e2e.log of the official suite.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="New directory to write, best vX.Y/PRODUCT.",
)
@json_option
def command(
    bundle: Path,
    template: Path | None,
    download: bool,
    metadata_file: Path | None,
    pairs: tuple[str, ...],
    artifacts_directory: Path | None,
    output: Path,
    as_json: bool,
) -> int:
    """Fill in the official questionnaire from an evidence bundle. Only what the bundle shows is claimed.

    The exit status is 0 when every MUST has an answer, 3 when one is left open or an official artefact is refused, 1
    when the bundle is not as it was signed, 2 for wrong usage.
    """
    from plimsoll.capabilities.bundle_reader import open_bundle
    from plimsoll.signing.keys import KeyRing
    from plimsoll.submission.submission_directory import (
        read_metadata,
        read_suite_artifacts,
        require_intact,
        write_submission,
    )

    opened = open_bundle(bundle, KeyRing.default())
    require_intact(opened)
    metadata = read_metadata(metadata_file, pairs)
    artifacts = read_suite_artifacts(artifacts_directory)
    if template is not None:
        written = write_submission(opened, template, metadata, artifacts, output)
    elif download:
        written = _write_with_downloaded_template(opened, metadata, artifacts, output)
    else:
        from plimsoll.submission.template_download import PAGE_URL

        hint = f"save {PAGE_URL.format(version=opened.version)} and name the file with --template, or add --download"
        raise FileError("no template is named", hint=hint)
    print_json(written) if as_json else _print(written)
    return written.status


def _write_with_downloaded_template(
    bundle: Bundle, metadata: dict[str, str], artifacts: SuiteArtifacts, output: Path
) -> WrittenSubmission:
    from plimsoll.submission.submission_directory import write_submission
    from plimsoll.submission.template_download import download_template

    with tempfile.TemporaryDirectory(prefix="plimsoll-") as directory:
        template = Path(directory) / f"AIConformance-{bundle.version}.yaml"
        template.write_bytes(download_template(bundle.version))
        return write_submission(bundle, template, metadata, artifacts, output)


def _print(written: WrittenSubmission) -> None:
    width = max(len(each.requirement) for each in written.answers)
    for each in written.answers:
        detail = each.notes.splitlines()[0] if each.status else each.why
        click.echo(f"{each.level:<6} {each.requirement:<{width}}  {each.status or 'left open':<11}  {detail}")
    for name, counts in written.artifacts.items():
        results = ", ".join(f"{count} {result}" for result, count in counts.items())
        click.echo(f"official artefact {name}: {results}")
    for name, reason in written.refused.items():
        click.echo(f"official artefact {name} is refused: {reason}")
    if written.altered:
        click.echo(f"the template's description differs from the published one for: {', '.join(written.altered)}")
    _print_findings("for you to supply", written.to_supply)
    _print_findings("found by plimsoll lint", written.findings)
    click.echo(f"\nwritten: {written.output}")


def _print_findings(title: str, findings: tuple[LintFinding, ...]) -> None:
    if findings:
        click.echo(f"\n{title}:")
        for each in findings:
            click.echo(f"  line {each.line}: {each.severity} {each.rule}: {each.why}; {each.fix}")
