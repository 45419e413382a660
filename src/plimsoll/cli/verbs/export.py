"""`plimsoll export`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import application_file, file_option, json_option, print_json, target_option
from plimsoll.cli.subject import subject_from, subject_option
from plimsoll.cli.terminal import one_line


@click.command("export")
@subject_option(required=True)
@file_option
@target_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("person"),
    show_default=True,
    help="Directory to write person.json and a CSV file for each table to; it must not exist.",
)
@json_option
def command(asked: str, file: Path, target: str, namespace: str | None, output: Path, as_json: bool) -> int:
    """Write all that is kept of a person: rows of sources, results and batches, lines of logs, documents, models.

    The exit status is 1 when something could not be searched.
    """
    from plimsoll.engine.erasing.exporting import export
    from plimsoll.engine.preparation import target_for
    from plimsoll.kinds.table import KINDS
    from plimsoll.targets.options import TargetOptions

    subject = subject_from(asked)
    application = KINDS.load(application_file(file))
    KINDS.check(application, None if len(KINDS.targets(application)) > 1 else target)
    chosen = target_for(application, target, TargetOptions(namespace=namespace))
    click.get_current_context().call_on_close(chosen.close)
    access = export(application, chosen, subject, output)
    if as_json:
        print_json({"output": str(output), "places": len(access.places), "models": access.models,
                    "unsearched": access.unsearched})  # fmt: skip
    else:
        for each in access.places:
            click.echo(one_line(f"{each.place} {each.name}: {each.what}"))
        for model in access.models:
            click.echo(one_line(f"model {model}: trained on rows of the person"))
        for problem in access.unsearched:
            click.echo(one_line(f"not searched: {problem}"))
        click.echo(f"written to {output}" if access.places else f"nothing of the person was found; written to {output}")
    return 1 if access.unsearched else 0
