"""`plimsoll ui`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from plimsoll.cli.options import json_option, print_json


@click.command("ui")
@click.argument("directories", metavar="[DIRECTORY]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--target",
    "contexts",
    multiple=True,
    metavar="CONTEXT",
    help="Show this kubeconfig context too, also where the application has not run on it; repeatable.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; by default a free one.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in your browser.")
@json_option
def command(directories: Sequence[Path], contexts: Sequence[str], port: int, open_browser: bool, as_json: bool) -> None:
    """Serve a live page of the applications in these directories, on this machine alone, until Ctrl-C.

    It shows runs, models, services and checks. It changes nothing but by stop, promote and rollback, each of which it
    asks you to confirm.
    """
    from plimsoll.ui.serving import serve

    def ready(url: str) -> None:
        if as_json:
            print_json({"url": url})
        else:
            click.echo(f"the page is at {url}")
            click.echo("only who has this address can use it; Ctrl-C ends it", err=True)
        if open_browser:
            import webbrowser

            webbrowser.open(url)

    serve(directories or (Path(),), contexts=contexts, port=port, ready=ready)
