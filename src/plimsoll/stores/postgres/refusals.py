"""What PostgreSQL says, in sentences with what to do.

Texts of a failed connection are never shown, only what they are known to mean: they may have a part of the address.
"""

from __future__ import annotations

from plimsoll.stores.port import StoreError
from plimsoll.stores.postgres.address import Address
from plimsoll.stores.postgres.library import psycopg

_OF_CONNECTIONS = (
    (("password authentication failed",), "refuses the password in {variable}", "correct it"),
    (("no password supplied",), "wants a password, and {variable} has none", "add it"),
    (('role "', "does not exist"), "has no user of the name in {variable}", "correct it, or create the user"),
    (
        ('database "', "does not exist"),
        "has no database of the name in {variable}",
        "correct it, or create the database",
    ),
    (("no pg_hba.conf entry",), "lets nobody in from here", "add a line to pg_hba.conf of the server"),
    (("Connection refused",), "does not listen", "start it, or correct {variable}"),
    (("No such file",), "does not listen", "start it, or correct {variable}"),
    (("timeout",), "does not answer", "see whether it can be reached from here"),
    (("resolve",), "is at a host that is not known", "correct {variable}"),
    (("translate host name",), "is at a host that is not known", "correct {variable}"),
    (("certificate",), "shows a certificate that is not trusted", "name its authority with sslrootcert in {variable}"),
    (("SSL",), "does not agree on TLS", "correct sslmode in {variable}"),
    (("slots",), "has no free connection", "raise max_connections, or wait"),
    (("too many",), "has no free connection", "raise max_connections, or wait"),
    (("starting up",), "is starting", "try again in a moment"),
    (("shutting down",), "is shutting down", "start it again"),
)
_ENDING = "57P"
"""How states begin by which a server says that it ends, or begins."""
TOO_SLOW = "did not answer within {limit:g} s"


def of_connecting(error: psycopg.Error, address: Address) -> StoreError:
    """The error for a connection that was not made."""
    said = str(error)
    for words, meaning, hint in _OF_CONNECTIONS:
        if all(word in said for word in words):
            named = {"variable": address.variable}
            return StoreError(f"{address.shown} {meaning.format(**named)}", hint=hint.format(**named))
    hint = f"see whether psql connects with the value of {address.variable}, and the log of the server"
    return StoreError(f"{address.shown} cannot be connected to", hint=hint)


def of_statement(error: psycopg.Error, address: Address, *, was_cut: bool, limit: float) -> StoreError:
    """The error for a statement of ours. What the server says of it has no part of the address."""
    if was_cut or isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
        hint = "see what keeps the database busy, and try again"
        return StoreError(f"{address.shown} {TOO_SLOW.format(limit=limit)}", hint=hint)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = f"grant it to the user in {address.variable}"
        return StoreError(f"{address.shown} refuses: {_primary(error)}", hint=hint, lasting=True)
    if isinstance(error, psycopg.errors.DependentObjectsStillExist):
        hint = "drop what depends on it first; nothing of others is dropped"
        return StoreError(f"{address.shown} refuses: {_primary(error)}", hint=hint, lasting=True)
    if (primary := _primary(error)) and not (error.sqlstate or "").startswith(_ENDING):
        return StoreError(f"{address.shown} refuses: {primary}", hint="see the log of the server")
    return StoreError(f"{address.shown} has gone away", hint="start it again; what was stored in it is as it was")


def _primary(error: psycopg.Error) -> str:
    return (error.diag.message_primary or "") if error.sqlstate else ""
