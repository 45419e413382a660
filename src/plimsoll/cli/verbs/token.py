"""`plimsoll token`: the file of tokens that services know their callers by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from plimsoll.cli.options import json_option, print_json
from plimsoll.runtime.server.identities.callers import ROLES, Role

tokens_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("tokens.json"),
    show_default=True,
    help="The file that services name with auth: {tokens: FILE}.",
)


@click.group("token")
def command() -> None:
    """Tokens by which services know their callers. The file has their digests and no token."""


@command.command("create")
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), default=("infer",), show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Days after which the token ends.")
@tokens_option
@json_option
def create(name: str, roles: tuple[Role, ...], days: int | None, path: Path, as_json: bool) -> None:
    """Make a token for NAME and print it. It is not kept anywhere, so this is the only time to see it."""
    from plimsoll.runtime.server.identities import token_file

    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) if days else None
    token = token_file.create(path, name, tuple(dict.fromkeys(roles)), expires)
    if as_json:
        print_json({"name": name, "roles": list(roles), "expires": _time(expires), "token": token})
        return
    click.echo(token)
    click.echo(f"{path} has its digest; services that read the file take it within a second or two", err=True)


@command.command("list")
@tokens_option
@json_option
def list_tokens(path: Path, as_json: bool) -> None:
    """List the tokens of the file: whose they are, what for, and until when."""
    from plimsoll.runtime.server.identities.token_file import read_token_file

    tokens = read_token_file(path).tokens
    if as_json:
        rows = [
            {"name": each.name, "roles": each.roles, "created": _time(each.created), "expires": _time(each.expires)}
            for each in tokens
        ]
        print_json({"tokens": rows})
        return
    if not tokens:
        click.echo("there are no tokens", err=True)
    now = datetime.now(UTC).timestamp()
    for each in tokens:
        end = f"{'ended' if each.is_over(now) else 'until'} {_time(each.expires)}" if each.expires else "no end"
        click.echo(f"{each.name}  {', '.join(each.roles)}  {end}")


@command.command("revoke")
@click.argument("name")
@tokens_option
@json_option
def revoke(name: str, path: Path, as_json: bool) -> None:
    """Take the token of NAME out of the file; services refuse it within a second or two."""
    from plimsoll.runtime.server.identities import token_file

    token_file.revoke(path, name)
    if as_json:
        print_json({"revoked": name})
        return
    click.echo(f"the token of {name} is revoked in {path}", err=True)


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
