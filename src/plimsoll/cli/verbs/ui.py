"""`plimsoll ui`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import json_option, print_json

if TYPE_CHECKING:
    from plimsoll.ui.serving import Front

LOOPBACK = "127.0.0.1"


@click.command("ui")
@click.argument("directories", metavar="[DIRECTORY]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--target",
    "contexts",
    multiple=True,
    metavar="CONTEXT",
    help="Show this kubeconfig context too, also where the application has not run on it; repeatable.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; by default a free one.")
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on; another needs --tokens.")
@click.option(
    "--tokens",
    type=click.Path(path_type=Path, dir_okay=False),
    help="People log in with tokens of this file: role metrics to look, admin to act too.",
)
@click.option("--name", "names", multiple=True, help="A name that the server goes by, with --tokens; repeatable.")
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False), help="Encrypt: the certificate in PEM.")
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="Its key.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in your browser.")
@json_option
def command(
    directories: Sequence[Path],
    contexts: Sequence[str],
    port: int,
    host: str,
    tokens: Path | None,
    names: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    open_browser: bool,
    as_json: bool,
) -> None:
    """Serve a live page of the applications in these directories until Ctrl-C, on this machine alone without --tokens.

    It shows runs, models, services and checks. It changes nothing but by stop, promote and rollback, each of which it
    asks you to confirm.
    """
    from plimsoll.kinds.service_callers import is_local
    from plimsoll.ui.serving import Front, serve

    front = Front(host=host, port=port, tokens=tokens, names=names, certificate=certificate, key=key)
    _check(front)

    def ready(url: str) -> None:
        if as_json:
            print_json({"url": url})
        else:
            click.echo(f"the page is at {url}")
            whom = "people log in with their tokens" if tokens is not None else "only who has this address can use it"
            click.echo(f"{whom}; Ctrl-C ends it", err=True)
            if not is_local(host) and certificate is None:
                click.echo("tokens go over the network as they are: --certificate and --key encrypt them", err=True)
        if open_browser:
            import webbrowser

            webbrowser.open(url)

    serve(directories or (Path(),), contexts=contexts, front=front, ready=ready)


def _check(front: Front) -> None:
    """Raise FileError for a page that everybody could use, and for tokens and certificates that are of no use."""
    from plimsoll.errors import FileError
    from plimsoll.kinds.service_callers import is_local
    from plimsoll.runtime.server.identities.token_file import read_token_file

    hint = "plimsoll token create NAME --role metrics, and name its file with --tokens"
    if front.tokens is None and not is_local(front.host):
        text = f"{front.host} lets other machines ask, and the page asks nobody who they are"
        raise FileError(text, where="--host", hint=hint)
    if front.tokens is None and (front.names or front.host != LOOPBACK):
        raise FileError("a page without tokens goes by 127.0.0.1 alone", where="--host or --name", hint=hint)
    if front.tokens is not None:
        roles = {role for each in read_token_file(front.tokens).tokens for role in each.roles}
        if not roles & {"metrics", "admin"}:
            raise FileError("no token of the file has the role metrics or admin", where=str(front.tokens), hint=hint)
    if (front.certificate is None) != (front.key is None):
        raise FileError("a certificate and its key belong together", where="--certificate and --key", hint="name both")
    if front.certificate is not None and front.key is not None:
        from plimsoll.runtime.server.tls.material import read_material

        read_material(front.certificate, front.key, None, None)
