"""The network of a cluster in memory, and the requests that pods' scripts make with curl."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Struct

_LOOP = re.compile(r"for i in \$\(seq (\d+)\); do (curl .*); done$")
SILENCE = "000"
"""The status that curl prints where nobody answers."""


class Asked(Struct, frozen=True, kw_only=True):
    """One request; `count` is how many of them curl makes of a URL such as `/hostname?[1-400]`.

    Of one that `streams`, the scripts of probes print nothing but when its pieces arrive.
    """

    host: str
    port: int
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: str = ""
    count: int = 1
    shows_status: bool = False
    streams: bool = False


class Said(Struct, frozen=True, kw_only=True):
    """An answer; `pieces` are the seconds at which those of a stream arrive, which the scripts print."""

    body: str = ""
    status: int = 200
    pieces: tuple[float, ...] = ()


Server = Callable[[Asked], Said | None]
"""Answers requests; `None` for a connection that is refused."""


class Network:
    """Who answers at which address. A server without a port answers at all of its ports."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}

    def listen(self, host: str, server: Server) -> None:
        """Have a server answer at an address, in place of another one."""
        self._servers[host] = server

    def leave(self, host: str) -> None:
        """Have nobody answer at an address."""
        self._servers.pop(host, None)

    def ask(self, asked: Asked) -> Said | None:
        """The answer to a request."""
        server = self._servers.get(asked.host)
        return server(asked) if server else None

    def run(self, script: str) -> str:
        """What the curl commands of a script print, one after another."""
        return "".join(self._printed(each) for each in requests(script))

    def _printed(self, asked: Asked) -> str:
        lines = []
        for _ in range(asked.count):
            said = self.ask(asked)
            body = said.body if said else ""
            if asked.streams:
                body = "".join(f"{each}\n" for each in said.pieces) if said else ""
            status = str(said.status) if said else SILENCE
            lines.append(f"{body} {status}\n" if asked.shows_status else body)
        return "".join(lines)


def shell(answer: Callable[[str], str]) -> Server:
    """The server of agnhost's netexec at `/shell`, which runs commands."""

    def serve(asked: Asked) -> Said:
        return Said(body=msgspec.json.encode({"output": answer(asked.query["cmd"])}).decode())

    return serve


def requests(script: str) -> Iterator[Asked]:
    """The requests that a script makes with curl, in order."""
    for line in script.splitlines():
        if found := _LOOP.match(line):
            yield msgspec.structs.replace(_request(found[2]), count=int(found[1]))
        elif line.startswith("curl "):
            yield _request(line)


def _request(line: str) -> Asked:
    words = iter(shlex.split(line.replace("\\n", "")))
    next(words)
    headers: dict[str, str] = {}
    data: list[str] = []
    url, body, shows, streams = "", "", False, False
    for word in words:
        if word in ("-m", "--data-urlencode", "-w", "-H", "-d"):
            value = next(words)
            if word == "--data-urlencode":
                data.append(value)
            elif word == "-H":
                name, _, said = value.partition(":")
                headers[name.strip()] = said.strip()
            elif word == "-d":
                body = value
            shows = shows or word == "-w"
        elif word == "-N":
            streams = True
        elif word == "|":
            break
        elif not word.startswith("-"):
            url = word
    found = msgspec.structs.replace(_at(url, data), headers=headers, body=body)
    return msgspec.structs.replace(found, shows_status=shows, streams=streams)


def _at(url: str, data: list[str]) -> Asked:
    plain, _, repeated = url.partition("?[")
    found = urlsplit(plain)
    query = dict(parse_qsl(found.query)) | dict(each.partition("=")[::2] for each in data)
    first, _, last = repeated.rstrip("]").partition("-")
    return Asked(
        host=found.hostname or "",
        port=found.port or 80,
        path=found.path,
        query=query,
        count=int(last) - int(first) + 1 if repeated else 1,
    )
