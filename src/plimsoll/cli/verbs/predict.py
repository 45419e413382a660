"""`plimsoll predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.options import (
    application_file,
    file_option,
    json_option,
    kept_path,
    print_json,
    target_is_given,
    target_option,
    token_option,
)

if TYPE_CHECKING:
    from plimsoll.runtime.predict import TablePredictions

MAX_COLUMNS = 8
"""Limit of columns in the terminal; --json and --csv print all."""


@click.command("predict")
@click.argument("service", shell_complete=completion.services)
@click.option(
    "--input",
    "input_path",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Rows as .json, .jsonl, .csv or .parquet, a directory of parts, or a request as .json; - for standard input.",
)
@file_option
@target_option
@token_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with all columns.")
@json_option
def command(
    service: str,
    input_path: Path | None,
    file: Path,
    target: str,
    namespace: str | None,
    token_file: Path | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Send rows to SERVICE and print its predictions. A service that is not running is started for the call.

    Without --input they are read from standard input: `echo '[{"bmi": 1.2}]' | plimsoll predict risk`.
    """
    from plimsoll.cli.tokens import token_from
    from plimsoll.engine.service_call import open_service
    from plimsoll.errors import FileError, MissingExtra
    from plimsoll.targets.options import TargetOptions

    piped = input_path is None or str(input_path) == "-"
    if piped and sys.stdin.isatty():
        raise FileError("nothing to predict from", where="--input", hint="name a file, or pipe rows into this command")
    named = input_path
    if input_path is not None and not piped:
        input_path = kept_path(file, input_path)
    if input_path is not None and not piped and not (input_path.is_file() or input_path.is_dir()):
        raise FileError("no such file", where=str(named), hint="name a .json, .csv or .parquet file with --input")
    try:
        from plimsoll.runtime.client import calling_as
        from plimsoll.runtime.predict import TablePredictions, send_request
        from plimsoll.runtime.prediction_input import read_input, read_standard_input
    except ImportError:
        raise MissingExtra("serve", "plimsoll predict") from None
    given = read_standard_input(sys.stdin.buffer) if input_path is None or piped else read_input(input_path)
    options = TargetOptions(namespace=namespace)
    token = token_from(token_file)
    where = target if target_is_given() else None
    with (
        open_service(application_file(file), service, where, options) as up,
        calling_as(token, up.host, up.certificate),
    ):
        if isinstance(given, dict):
            print_json(send_request(up.url, up.model, given))
            return
        rows = TablePredictions(up.url, up.model, given)
        if as_json:
            print_json({"predictions": list(rows)})
        elif as_csv:
            _print_csv(rows)
        else:
            _print_table(rows)


def _print_csv(rows: TablePredictions) -> None:
    import csv

    writer = csv.writer(sys.stdout)
    empty = True
    for row in rows:
        if empty:
            writer.writerow(row)
            empty = False
        writer.writerow(row.values())
    if empty:
        writer.writerow(rows.names)


def _print_table(rows: Iterable[Mapping[str, object]]) -> None:
    """Print a table whose column widths fit the first hundred rows."""
    remaining = iter(rows)
    head = list(islice(remaining, 100))
    if not head:
        click.echo("there are no rows", err=True)
        return
    names = list(head[0])
    columns = (
        names
        if len(names) <= MAX_COLUMNS
        else [name for name in names if name in {"row", "id", "label"}] or names[:MAX_COLUMNS]
    )
    columns = columns if len(names) <= MAX_COLUMNS else [*columns, "certainty"]
    widths = {name: max(len(name), *(len(_cell(row, name)) for row in head)) for name in columns}
    click.echo("  ".join(f"{name:<{widths[name]}}" for name in columns).rstrip())
    for rows_left in (head, remaining):
        for row in rows_left:
            click.echo("  ".join(f"{_cell(row, name):<{widths[name]}}" for name in columns).rstrip())


def _cell(row: Mapping[str, object], name: str) -> str:
    if name == "certainty":
        numbers = [value for value in row.values() if isinstance(value, float)]
        return f"{max(numbers):.4g}" if numbers else ""
    value = row.get(name, row.get("certainty"))
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
