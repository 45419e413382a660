"""`plimsoll search`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_file, file_option, json_option, print_json
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.indexes.reading import Hit

SHOWN = 300
"""Characters of a passage in the terminal; --json has all."""


@click.command("search")
@click.argument("index")
@click.argument("question")
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="Number of passages.")
@click.option(
    "--access",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="Search as somebody with this label, and with no other. May be given several times.",
)
@file_option
@json_option
def command(index: str, question: str, top: int, labels: tuple[str, ...], file: Path, as_json: bool) -> None:
    """Search INDEX for passages that answer QUESTION."""
    import msgspec

    from plimsoll.engine.index_search import open_index

    hits = open_index(application_file(file), index).search(question, top, labels or None)
    if as_json:
        print_json({"index": index, "question": question, "hits": msgspec.to_builtins(hits)})
    elif not hits:
        click.echo("nothing was found", err=True)
    else:
        for number, hit in enumerate(hits, start=1):
            _print(number, hit)


def _print(number: int, hit: Hit) -> None:
    """Print where a passage is, and how it begins."""
    above = " › ".join(each for each in (hit.title, hit.heading) if each)
    where = hit.id if hit.id == hit.source else f"{hit.id} ({hit.source})"
    head = f"{number}. {hit.score:.3f}  {where}, characters {hit.start} to {hit.end}" + (f"  {above}" if above else "")
    click.echo(one_line(head))
    passage = " ".join(hit.text.split())
    shortened = passage if len(passage) <= SHOWN else f"{passage[:SHOWN].rsplit(' ', 1)[0]} …"
    click.echo(textwrap.fill(shortened, 100, initial_indent="   ", subsequent_indent="   "))
    for name, value in hit.metadata.items():
        if value:
            click.echo(one_line(f"   {name}: {value}"))
