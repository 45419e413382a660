"""`plimsoll key`: the signing key, and the keys whose signatures are trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from plimsoll.cli import key_actions
from plimsoll.cli.options import json_option, print_json

if TYPE_CHECKING:
    from plimsoll.signing.conditions import Conditions

Command = TypeVar("Command", bound=Callable[..., object])
FILE = click.Path(path_type=Path, dir_okay=False)


def _password_option(function: Command) -> Command:
    return click.option("--password-file", type=FILE, default=None, help="File whose first line is the password.")(
        function
    )


def _end_options(function: Command) -> Command:
    for decorate in (
        click.option("--expires", default=None, metavar="DATE", help="When it expires, such as 2027-06-30."),
        click.option("--days", type=click.IntRange(1, 36500), default=None, help="Days after which it expires."),
        click.option(
            "--scope", "scopes", multiple=True, metavar="KIND[:PATTERN]", help="What it counts for; repeatable."
        ),
    ):
        function = decorate(function)
    return function


@click.group("key")
def command() -> None:
    """The key that signs your models, bundles and states, and the keys that you trust."""


@command.command("show")
@click.argument("key", required=False)
@click.option("--pem", is_flag=True, help="Print the public key in PEM, as cosign and OpenSSL read it.")
@json_option
def show(key: str | None, pem: bool, as_json: bool) -> None:
    """List the keys and how the signing key is kept; or show one KEY, by the first digits of its id."""
    from plimsoll.cli.key_rows import keeping_of, row_of, rows_of
    from plimsoll.signing.key_files import pem_of
    from plimsoll.signing.keys import KeyRing

    keys = KeyRing.default()
    if pem:
        click.echo(pem_of(keys.public(key_actions.key_named(keys, key)) if key else keys.own_key()), nl=False)
        return
    rows = [row_of(keys, key_actions.key_named(keys, key), keys.own_id())] if key else rows_of(keys)
    kept = keeping_of(keys)
    if as_json:
        print_json({"keys": rows, "signing": keys.own_id(), "kept": kept})
        return
    for row in rows:
        limits = f"for {', '.join(row.scopes)}" if row.scopes else ""
        told = "; ".join(filter(None, (limits, row.told)))
        click.echo(f"{row.key if key else row.key[:16]}  {row.kind:<8} {row.state:<8} {told}".rstrip())
    if not key:
        click.echo(f"the signing key: {kept.told}")
        if kept.steps:
            click.echo(f"steps of runs: {kept.steps}")


@command.command("rotate")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Application whose versions the new key signs too; by default plimsoll.yaml here.",
)
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Bundle from before there was a log, whose signature shall still count.",
)
@click.option(
    "--algorithm",
    type=click.Choice(["ed25519", "ecdsa"]),
    default="ed25519",
    show_default=True,
    help="ecdsa (P-256) is what cosign and model-signing read.",
)
@click.option(
    "--import",
    "imported",
    type=FILE,
    default=None,
    metavar="FILE",
    help="Private key in PEM (PKCS#8) to sign with, in place of a new one.",
)
@click.option("--encrypt", is_flag=True, help="Encrypt the new key under a password.")
@_end_options
@_password_option
@json_option
def rotate(
    files: tuple[Path, ...],
    bundles: tuple[Path, ...],
    algorithm: str,
    imported: Path | None,
    encrypt: bool,
    scopes: tuple[str, ...],
    days: int | None,
    expires: str | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Sign with a new key from now on. The old one vouches for it, and counts for what it has signed until now."""
    from plimsoll.signing.keys import KeyRing
    from plimsoll.signing.private_keys import generate

    keys = KeyRing.default()
    limits = key_actions.require_scopes(scopes)
    end = key_actions.end_of(days, expires)
    new = key_actions.imported_key(imported) if imported else generate("ecdsa" if algorithm == "ecdsa" else "ed25519")
    done = key_actions.rotate_here(
        keys,
        key_actions.registries_of(files),
        bundles=bundles,
        new_key=new,
        expires=end,
        scopes=limits,
        password=key_actions.new_password(password_file) if encrypt else None,
    )
    if as_json:
        print_json({"key": done.rotated.new, "old": done.rotated, "signed": done.signed})
        return
    key_actions.say_rotated(keys, done)


@command.command("revoke")
@click.argument("key")
@click.option(
    "--reason",
    type=click.Choice(["compromised", "lost", "superseded", "left", "unspecified"]),
    default="unspecified",
    show_default=True,
)
@click.option("--note", default="", help="More about the reason; it is part of the statement.")
@json_option
def revoke(key: str, reason: str, note: str, as_json: bool) -> None:
    """Trust KEY no more: nothing that it has ever signed counts. The statement about it is signed, for others."""
    import msgspec

    from plimsoll.signing.conditions import Reason
    from plimsoll.signing.keys import KeyRing
    from plimsoll.signing.revocation import revoke as revoke_key

    keys = KeyRing.default()
    about = revoke_key(keys, key_actions.key_named(keys, key), msgspec.convert(reason, type=Reason), note)
    path = keys.revoked / f"{about.key}.json"
    if as_json:
        print_json({"revoked": about, "statement": str(path)})
        return
    click.echo(f"the key {about.key[:16]} is revoked ({about.reason}); nothing that it has signed counts here any more")
    click.echo(f"others who trust it take that with: plimsoll key trust {path}")


@command.command("trust")
@click.argument("file", type=FILE)
@_end_options
@json_option
def trust(file: Path, scopes: tuple[str, ...], days: int | None, expires: str | None, as_json: bool) -> None:
    """Trust a public key (a file of trusted/, PEM, cosign.pub), or take a statement about a rotation or revocation."""
    from plimsoll.signing.keys import KeyRing
    from plimsoll.signing.trusting import take_file

    taken = take_file(KeyRing.default(), file, key_actions.require_scopes(scopes), key_actions.end_of(days, expires))
    if as_json:
        print_json(taken)
        return
    click.echo(taken.told)


@command.command("vouch")
@click.argument("key")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Application; by default the one here.",
)
@click.option(
    "--bundle", "bundles", multiple=True, type=click.Path(path_type=Path), help="A bundle that KEY has signed."
)
@json_option
def vouch(key: str, files: tuple[Path, ...], bundles: tuple[Path, ...], as_json: bool) -> None:
    """Let what the rotated KEY has signed there count, though the log does not have it: you know that it is older."""
    from plimsoll.signing.keys import KeyRing

    keys = KeyRing.default()
    found = key_actions.key_named(keys, key)
    new = key_actions.vouch_for(keys, found, [] if bundles and not files else key_actions.registries_of(files), bundles)
    if as_json:
        print_json({"key": found, "added": new})
        return
    click.echo(f"{new} more statements of the key {found[:16]} count from now on")


@command.command("limit")
@click.argument("key")
@_end_options
@click.option("--everything", is_flag=True, help="Take the limits on what it counts for away.")
@click.option("--never", is_flag=True, help="Take its end away.")
@json_option
def limit(
    key: str,
    scopes: tuple[str, ...],
    days: int | None,
    expires: str | None,
    everything: bool,
    never: bool,
    as_json: bool,
) -> None:
    """Change what KEY counts for here, and until when: models, registry, bundles, states, audit and images."""
    from msgspec.structs import replace

    from plimsoll.cli.key_rows import row_of
    from plimsoll.signing.keys import KeyRing

    keys = KeyRing.default()
    limits, end = key_actions.require_scopes(scopes), key_actions.end_of(days, expires)
    if not (limits or end or everything or never):
        raise click.UsageError("give --scope, --days, --expires, --everything or --never")
    if (limits and everything) or (end and never):
        raise click.UsageError("--scope and --everything, or an end and --never, contradict each other")
    found = key_actions.key_named(keys, key)

    def limited(before: Conditions) -> Conditions:
        return replace(
            before,
            scopes=() if everything else limits or before.scopes,
            expires=None if never else end or before.expires,
        )

    keys.change_conditions(found, limited)
    row = row_of(keys, found, keys.own_id())
    if as_json:
        print_json(row)
        return
    click.echo(f"{row.key[:16]}  for {', '.join(row.scopes) or 'everything'}  {row.told}".rstrip())


@command.command("encrypt")
@_password_option
def encrypt(password_file: Path | None) -> None:
    """Encrypt the file of the signing key under a password (PKCS#8)."""
    key_actions.rewrite_key(password_file, encrypt=True)
    click.echo("the signing key is encrypted; hold it for your runs: plimsoll key hold")


@command.command("decrypt")
@_password_option
def decrypt(password_file: Path | None) -> None:
    """Write the file of the signing key without a password."""
    key_actions.rewrite_key(password_file, encrypt=False)
    click.echo("the signing key is a plain file again, which every process of yours can read")


@command.command("hold")
@click.option(
    "--socket",
    "socket",
    type=click.Path(path_type=Path),
    default=None,
    help="Where to listen; by default in the key ring.",
)
@click.option(
    "--allow", "users", multiple=True, metavar="USER", help="Sign for this user in place of your own; repeatable."
)
@_password_option
def hold(socket: Path | None, users: tuple[str, ...], password_file: Path | None) -> None:
    """Hold the signing key, and sign for your commands until Ctrl-C. Steps of runs are refused."""
    from plimsoll.cli.key_holding import hold_key

    hold_key(socket, users, password_file)


@command.command("use")
@click.option(
    "--holder", type=click.Path(path_type=Path), default=None, metavar="SOCKET", help="Have this holder sign."
)
@click.option("--token", default=None, metavar="URI", help="Sign with a key in a token: pkcs11:token=…;object=…")
@click.option("--file", "file", is_flag=True, help="Sign with the key of your key ring again.")
def use(holder: Path | None, token: str | None, file: bool) -> None:
    """Choose who signs: a holder, which may be another user's, a token, or the key of your own key ring.

    The PIN of a token is read from the file that the URI names (pin-source=), or from PLIMSOLL_TOKEN_PIN.
    """
    from plimsoll.cli.key_holding import use_file, use_holder, use_token

    if sum((holder is not None, token is not None, file)) != 1:
        raise click.UsageError("give one of --holder SOCKET, --token URI and --file")
    if token is not None:
        click.echo(use_token(token))
        return
    click.echo(use_file() if holder is None else use_holder(holder.absolute()))
