"""What a server is told of its certificate, as one option of its command line. Planning imports this module."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError

OPTION = "--tls"


@decodable
class TlsSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Files in PEM: the server's certificate with those between it and its authority, and its key.

    `clients` are the authorities whose certificates callers may show, `revoked` their lists of revoked certificates.
    """

    certificate: str
    key: str
    clients: str = ""
    revoked: str = ""


def in_directory(settings: TlsSettings, directory: Path) -> TlsSettings:
    """The settings with the paths of files below a directory; absolute ones stay."""
    paths = msgspec.structs.asdict(settings)
    return TlsSettings(**{word: str(directory / path) if path else "" for word, path in paths.items()})


def read_settings(text: str) -> TlsSettings:
    """The settings in the option's JSON. Raises TargetError."""
    try:
        settings = msgspec.json.decode(text, type=TlsSettings)
    except UNREADABLE as problem:
        raise TargetError(f"{OPTION} is not what a server takes: {problem}") from problem
    if settings.revoked and not settings.clients:
        raise TargetError(f"{OPTION} names certificates that are revoked, and no authority in clients")
    return settings
