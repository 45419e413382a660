"""`plimsoll schema`."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.option("--json", "as_json", is_flag=True, help="Print the schema on one line.")
def command(as_json: bool) -> None:
    """Print the JSON Schema of the application file, for editors that check and complete YAML."""
    from plimsoll.application.schema import json_schema
    from plimsoll.kinds.table import KINDS

    click.echo(json.dumps(json_schema(KINDS.part_types), indent=None if as_json else 2))
