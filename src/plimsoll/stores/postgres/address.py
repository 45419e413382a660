"""The address of a database, of which nothing is ever shown but host and port: the rest may be a password."""

from __future__ import annotations

import re

from msgspec import Struct

from plimsoll.stores.port import StoreError
from plimsoll.stores.postgres.library import conninfo_to_dict, psycopg
from plimsoll.stores.variables import value_of

WHAT = "the address of the database, such as postgresql://USER:PASSWORD@HOST/DATABASE"
_HOST = re.compile(r"[A-Za-z0-9.:_,-]{1,253}")
_PORT = re.compile(r"[0-9]{1,5}(,[0-9]{1,5})*")


class Address(Struct, frozen=True, kw_only=True):
    """What a client connects to, and what of it may be shown."""

    secret: str
    variable: str
    shown: str


def read_address(variable: str) -> Address:
    """The address in a variable. Raises StoreError for what is none, without a letter of it."""
    value = value_of(variable, WHAT)
    try:
        parts = conninfo_to_dict(value)
    except psycopg.Error:
        parts = {"port": "none"}
    host = str(parts.get("host") or parts.get("hostaddr") or "")
    port = str(parts.get("port") or "5432")
    # An @ or a / of a password that is not written as %40 or %2F moves a part of it into the host or the port.
    readable = not host or host.startswith("/") or _HOST.fullmatch(host)
    if "\0" in value or not _PORT.fullmatch(port) or not readable:
        hint = f"set it to {WHAT}; in a password write @ as %40, / as %2F, : as %3A and % as %25"
        raise StoreError(f"the value of {variable} is no address of a database", hint=hint, lasting=True)
    shown = f"PostgreSQL at {host}:{port}" if host and not host.startswith("/") else f"the PostgreSQL of {variable}"
    return Address(secret=value, variable=variable, shown=shown)
