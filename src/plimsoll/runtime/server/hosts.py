"""Which hosts a request for what is private may be for and from, when a server is for this machine only.

A page in a browser can send requests to a server on 127.0.0.1, and read the answers when its name leads there (DNS
rebinding). The browser tells the name in `Host` and the page's own in `Origin`, and the page cannot change either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

LOOPBACK = re.compile(r"localhost|.+\.localhost|127(\.\d{1,3}){3}|\[?::1\]?")
OPTION = "--allow-host"


class KnownHosts:
    """The names of a server. One that listens on other addresses than this machine's own goes by any name."""

    def __init__(self, address: str, allowed: Collection[str] = (), only: Collection[str] = ()) -> None:
        """`address` is what the server listens on, `allowed` are more names that it goes by.

        With `only`, nothing but health is answered for any other name.
        """
        self._only = frozenset(name.lower() for name in only)
        self._local = bool(LOOPBACK.fullmatch(address))
        self._allowed = frozenset(name.lower() for name in allowed) | self._only

    def stranger(self, headers: Mapping[str, str]) -> str:
        """Why a request for another name is refused, where only some are answered; empty when it is not."""
        host = headers.get("host", "")
        if not self._only or _name_of(host) in self._only:
            return ""
        return f"this server does not go by the name '{host[:80]}'; it answers for {', '.join(sorted(self._only)[:5])}"

    def refusal(self, headers: Mapping[str, str]) -> str:
        """Why a request is refused; empty when it is not. `headers` have names in small letters."""
        if not self._local:
            return ""
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not self._knows(_name_of(host)):
            return f"this server is for this machine only and not '{host[:80]}'; {OPTION} allows more names"
        if origin is not None and not self._knows(_name_of(origin.partition("://")[2])):
            return f"pages of '{origin[:80]}' may not use this server; {OPTION} allows more names"
        return ""

    def _knows(self, name: str) -> bool:
        return bool(LOOPBACK.fullmatch(name)) or name in self._allowed


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = host.strip().lower().rpartition(":")
    return name if colon and port.isdigit() and (not name.count(":") or name.endswith("]")) else host.strip().lower()
