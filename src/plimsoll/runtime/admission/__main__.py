"""`python -m plimsoll.runtime.admission`: a webhook by which a cluster refuses what no trusted key has signed.

    python -m plimsoll.runtime.admission --keys /keys --registry registry.example/shop --certificate /tls

`--certificate` is a directory with tls.crt and tls.key, as a Secret is mounted; they are read again when they change.
`plimsoll policy webhook` renders all that a cluster needs. Variables for the registry: see `plimsoll.runtime.pull`.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from plimsoll.errors import FileError, PlimsollError
from plimsoll.runtime.admission.certificates import Certificate
from plimsoll.runtime.admission.judging import Judge
from plimsoll.runtime.admission.serving import Webhook, serve
from plimsoll.runtime.admission.signatures import Signatures, Trust
from plimsoll.signing.keys import KeyFiles
from plimsoll.signing.notes import LogKey


def main() -> None:
    """Serve until SIGTERM; exit 1 with a one-line reason for what cannot be used."""
    arguments = _arguments()
    try:
        certificate = Certificate(arguments.certificate / "tls.crt", arguments.certificate / "tls.key")
        KeyFiles(arguments.keys).key_ids()
        webhook = Webhook(Judge(Signatures(_trust(arguments))))
        serve(webhook, certificate, arguments.host, arguments.port)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


def _trust(arguments: argparse.Namespace) -> Trust:
    reached = {}
    for pair in arguments.reached:
        name, equals, address = pair.partition("=")
        if not (name and equals and address):
            raise FileError(f"'{pair[:200]}' is no pair of names", where="--reached", hint="NODES=HERE")
        reached[name] = address
    log = LogKey(arguments.rekor_key.read_bytes()) if arguments.rekor_key else None
    return Trust(
        keys=arguments.keys,
        registries=tuple(arguments.registry),
        reached=reached,
        since=_time(arguments.since) if arguments.since else None,
        log=log,
    )


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise FileError(f"'{text[:40]}' is no date", where="--since", hint="for example 2027-06-30") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.admission", description="Refuse what is unsigned."
    )
    parser.add_argument("--keys", type=Path, required=True, help="a public key, or a directory of them")
    parser.add_argument("--registry", action="append", required=True, help="where images may come from; repeatable")
    parser.add_argument("--reached", action="append", default=[], help="NODES=HERE: another name of a registry")
    parser.add_argument("--since", default="", help="the date before which no signature counts")
    parser.add_argument("--rekor-key", type=Path, help="the key of a log that has to have the signatures, in PEM")
    parser.add_argument("--certificate", type=Path, required=True, help="a directory with tls.crt and tls.key")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on")  # noqa: S104 - a pod's own
    parser.add_argument("--port", type=int, default=8443)
    return parser.parse_args()


if __name__ == "__main__":
    main()
