"""`plimsoll lint`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import json_option, print_json, use_colour
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.submission.finding import LintFinding

_COLOURS = {"error": "31", "warning": "33", "note": "2"}
_READ = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--template", "templates", multiple=True, type=_READ, help="Official template of a version; repeatable.")
@click.option("--landscape", type=_READ, help="landscape.yml of the CNCF, to check the vendor's name.")
@click.option("--strict", is_flag=True, help="Exit with status 1 on warnings too.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="Format of the output.",
)
@click.option(
    "--sarif",
    "sarif_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the findings to this file as SARIF.",
)
@json_option
def command(
    paths: tuple[Path, ...],
    templates: tuple[Path, ...],
    landscape: Path | None,
    strict: bool,
    output_format: str,
    sarif_file: Path | None,
    as_json: bool,
) -> int:
    """Check questionnaires (PRODUCT.yaml) of the CNCF's AI Conformance programme without a network.

    A directory stands for every PRODUCT.yaml below it. The exit status is 0 without errors (with --strict also without
    warnings), 1 with errors, 2 for wrong usage.
    """
    from plimsoll.submission.linter import find_questionnaires, has_failures, lint_file, read_members
    from plimsoll.submission.version_requirements import template_requirements

    if not paths:
        hint = "name a file or a directory: plimsoll lint vX.Y/PRODUCT/PRODUCT.yaml"
        raise FileError("no questionnaire is named", hint=hint)
    files = find_questionnaires(paths)
    expected = [template_requirements(each) for each in templates]
    members = read_members(landscape) if landscape else None
    findings = [finding for file in files for finding in lint_file(file, expected, members)]
    if sarif_file:
        _write_sarif(sarif_file, findings)
    if as_json or output_format == "json":
        print_json({"files": len(files), "findings": findings, "counts": _counts(findings)})
    elif output_format == "sarif":
        from plimsoll.submission.sarif import to_sarif

        print_json(to_sarif(findings))
    else:
        _print(findings, len(files))
    return 1 if has_failures(findings, strict) else 0


def _write_sarif(path: Path, findings: list[LintFinding]) -> None:
    import msgspec

    from plimsoll.files import replace_file
    from plimsoll.submission.sarif import to_sarif

    replace_file(path, msgspec.json.format(msgspec.json.encode(to_sarif(findings)), indent=1))


def _print(findings: list[LintFinding], files: int) -> None:
    colour = use_colour()
    for each in findings:
        severity = f"\x1b[{_COLOURS[each.severity]}m{each.severity}\x1b[0m" if colour else each.severity.value
        place = f"{each.file}:{each.line}:{each.column}"
        click.echo(f"{_printable(place)}: {severity} {each.rule}: {_printable(each.why)}\n    {_printable(each.fix)}")
    counts = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in _counts(findings).items() if count)
    checked = f"{files} file{'s' * (files != 1)}"
    click.echo(f"{checked}: {counts}" if counts else f"{checked}, no findings")


def _counts(findings: list[LintFinding]) -> dict[str, int]:
    found = Counter(each.severity.value for each in findings)
    return {name: found[name] for name in _COLOURS}


def _printable(text: str) -> str:
    """Replace characters that would move the cursor or change the writing direction."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
