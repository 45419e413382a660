"""`plimsoll predict`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_file, file_option, json_option, print_json, target_option

if TYPE_CHECKING:
    from plimsoll.runtime.predict import TablePredictions

MAX_COLUMNS = 8
"""Limit of columns in the terminal; --json and --csv print all."""


@click.command("predict")
@click.argument("service")
@click.option(
    "--input",
    "input_path",
    type=click.Path(path_type=Path),
    required=True,
    help="Request as .json, or rows as .csv or .parquet, also a directory of parts.",
)
@file_option
@target_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with all columns.")
@json_option
def command(
    service: str, input_path: Path, file: Path, target: str, namespace: str | None, as_csv: bool, as_json: bool
) -> None:
    """Send a file to SERVICE and print its predictions. A service that is not running is started for the call."""
    from plimsoll.engine.service_call import open_service
    from plimsoll.errors import FileError, MissingExtra
    from plimsoll.targets.options import TargetOptions

    if not (input_path.is_file() or input_path.is_dir()):
        raise FileError("no such file", where=str(input_path), hint="name a .json, .csv or .parquet file with --input")
    try:
        from plimsoll.runtime.predict import TablePredictions, send_request_file
    except ImportError:
        raise MissingExtra("serve", "plimsoll predict") from None
    options = TargetOptions(namespace=namespace)
    with open_service(application_file(file), service, target, options) as up:
        if input_path.suffix == ".json":
            print_json(send_request_file(up.url, up.model, input_path))
            return
        rows = TablePredictions(up.url, up.model, input_path)
        if as_json:
            print_json({"predictions": list(rows)})
        elif as_csv:
            _print_csv(rows)
        else:
            _print_table(rows)


def _print_csv(rows: TablePredictions) -> None:
    import csv
    import sys

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
        click.echo("the file has no rows", err=True)
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
