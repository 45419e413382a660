"""`plimsoll lint`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import json_option, print_json, use_colour
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.submission.finding import Finding

_COLOURS = {"error": "31", "warning": "33", "note": "2"}
_READ = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--template", "templates", multiple=True, type=_READ, help="The official template of a version; repeatable."
)
@click.option("--landscape", type=_READ, help="The CNCF's landscape.yml, to look the vendor's name up in.")
@click.option("--strict", is_flag=True, help="End with 1 on warnings too.")
@click.option("--format", "kind", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
@click.option(
    "--sarif", "sarif_file", type=click.Path(path_type=Path, dir_okay=False), help="Write SARIF there as well."
)
@json_option
def command(
    paths: tuple[Path, ...],
    templates: tuple[Path, ...],
    landscape: Path | None,
    strict: bool,
    kind: str,
    sarif_file: Path | None,
    as_json: bool,
) -> int:
    """Find what is wrong with questionnaires (PRODUCT.yaml) of the CNCF's AI Conformance programme, offline.

    A directory stands for every PRODUCT.yaml below it. Ends with 0 when there is no error (with --strict: no warning),
    1 when there is one, 2 for wrong usage.
    """
    from plimsoll.submission.expected import from_template
    from plimsoll.submission.linting import failed, files_of, lint_file, members_of

    if not paths:
        raise FileError("no questionnaire is named", hint="plimsoll lint vX.Y/PRODUCT/PRODUCT.yaml, or a directory")
    files = files_of(paths)
    expected = [from_template(each) for each in templates]
    members = members_of(landscape) if landscape else None
    findings = [finding for file in files for finding in lint_file(file, expected, members)]
    if sarif_file:
        _write_sarif(sarif_file, findings)
    if as_json or kind == "json":
        print_json({"files": len(files), "findings": findings, "counts": _counts(findings)})
    elif kind == "sarif":
        from plimsoll.submission.sarif import sarif

        print_json(sarif(findings))
    else:
        _print(findings, len(files))
    return 1 if failed(findings, strict) else 0


def _write_sarif(path: Path, findings: list[Finding]) -> None:
    import msgspec

    from plimsoll.files import replace_file
    from plimsoll.submission.sarif import sarif

    replace_file(path, msgspec.json.format(msgspec.json.encode(sarif(findings)), indent=1))


def _print(findings: list[Finding], files: int) -> None:
    colour = use_colour()
    for each in findings:
        severity = f"\x1b[{_COLOURS[each.severity]}m{each.severity}\x1b[0m" if colour else each.severity.value
        place = f"{each.file}:{each.line}:{each.column}"
        click.echo(f"{_clean(place)}: {severity} {each.rule}: {_clean(each.why)}\n    {_clean(each.fix)}")
    counts = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in _counts(findings).items() if count)
    click.echo(f"{files} file{'s' * (files != 1)}: {counts or 'nothing to say'}")


def _counts(findings: list[Finding]) -> dict[str, int]:
    found = Counter(each.severity.value for each in findings)
    return {name: found[name] for name in _COLOURS}


def _clean(text: str) -> str:
    """Without characters that would move the cursor or turn the writing direction."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
