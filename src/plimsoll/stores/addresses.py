"""Addresses of stores, as far as they may be shown. Pure."""

from __future__ import annotations

import urllib.parse
from typing import NamedTuple

from plimsoll.stores.port import StoreError


class Address(NamedTuple):
    """An `http` or `https` address; `port` is None where it names none."""

    scheme: str
    host: str
    port: int | None

    @property
    def server(self) -> str:
        """The scheme, host and port alone."""
        port = "" if self.port is None else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}"


def read_address(text: str, variable: str, what: str, hint: str) -> Address:
    """The address in a variable. Raises StoreError for one that is none, or has a password in it.

    The text is not shown: `what` says what is looked for, `hint` what to do.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
        raise StoreError(f"the value of {variable} is no address of {what}", hint=hint, lasting=True)
    return Address(parts.scheme, parts.hostname, port)
