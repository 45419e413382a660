"""`plimsoll report`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli import completion
from plimsoll.cli.options import application_state, file_option, json_option, print_json, target_option
from plimsoll.errors import FileError


@click.command("report")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@file_option
@target_option
@click.option(
    "--run",
    "run_id",
    default=None,
    shell_complete=completion.runs,
    help="Number or id of a run; by default the newest.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the report; by default it lies with the run, and that of a bundle in BUNDLE.html.",
)
@json_option
def command(
    directory: Path | None,
    file: Path,
    target: str,
    namespace: str | None,
    run_id: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write a self-contained HTML report of a run, or of the evidence bundle in DIRECTORY, and print its path."""
    from plimsoll.capabilities.bundle_reader import is_bundle

    if directory is not None and is_bundle(directory):
        path = _of_bundle(directory, output)
    else:
        path = _of_run(directory or file, target, run_id, output)
    print_json({"report": str(path)}) if as_json else click.echo(path)


def _of_bundle(directory: Path, output: Path | None) -> Path:
    from plimsoll.capabilities.bundle_reader import open_bundle
    from plimsoll.report.bundle_page import write_bundle_page
    from plimsoll.signing.keys import KeyRing

    # Next to the bundle, not in it: an additional file would make its verification fail.
    path = output or directory.absolute().with_name(f"{directory.absolute().name}.html")
    if path.absolute().is_relative_to(directory.absolute()):
        raise FileError(
            "the report cannot be written into the bundle, because the signature covers all of its files",
            where=str(path),
            hint="name a file outside of the bundle with --output",
        )
    write_bundle_page(open_bundle(directory, KeyRing.default()), path)
    return path


def _of_run(file: Path, target: str, run_id: str | None, output: Path | None) -> Path:
    from plimsoll.engine.run_comparison import find_run
    from plimsoll.engine.run_status import run_status
    from plimsoll.report.write import write_report

    state = application_state(file, target)
    run = run_status(state, find_run(state, run_id) if run_id else None).run
    return write_report(state, run, path=output)
