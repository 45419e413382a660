"""The activator's responses: its own pages directly, all other requests from a server, events as they come."""

from __future__ import annotations

import urllib.parse
from collections.abc import AsyncIterator
from contextlib import aclosing

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from plimsoll.llms.errors import error_event
from plimsoll.runtime.activator.load import LoadAverage
from plimsoll.runtime.activator.servers import NoServerError, ServerPool, ServerResponse
from plimsoll.runtime.server.heads import Head
from plimsoll.runtime.server.identities.callers import Shown
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.refusals import Refusal
from plimsoll.runtime.server.responses import Buffer, Reply, Response, Stream, error, json_response

LOAD = "/plimsoll/load"
LIVE, READY, METRICS = "/v2/health/live", "/v2/health/ready", "/metrics"
_HOP_BY_HOP = frozenset(
    ("connection", "content-length", "date", "expect", "keep-alive", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
"""Headers of one hop, or headers that are written anew. Source: RFC 9110, 7.6.1."""


class Below(Struct, frozen=True):
    """Where servers have what is at the root of a forwarder: their host, and the path before those of requests."""

    host: str = ""
    path: str = ""


class Forwarder:
    """Forwards requests to servers. `most` is the number of bytes of bodies that may wait at the same time."""

    metrics = "plimsoll_activator_"
    """What the names of its metrics begin with."""

    def __init__(
        self, servers: ServerPool, load: LoadAverage, *, largest_body: int, most: int, below: Below | None = None
    ) -> None:
        """`below` is where the servers have what is at the root here; the same where it is left out."""
        # What arrives and what waits for a server have the same limit.
        self.memory = Memory(max(most, largest_body))
        self._largest = largest_body
        self._servers = servers
        self._load = load
        self._most = most
        self._held = 0
        self._below = below or Below()
        self._registry = CollectorRegistry()
        name = self.metrics
        self._requests = Counter(f"{name}requests", "Requests by status", ["code"], registry=self._registry)
        under_way = Gauge(f"{name}requests_under_way", "Requests without a response yet", registry=self._registry)
        under_way.set_function(lambda: self._load.under_way)
        waited = Gauge(f"{name}requests_waited", "Requests that found no server", registry=self._registry)
        waited.set_function(lambda: self._servers.waited)

    def respond(self, head: Head, body: Buffer, client: str, shown: Shown | None = None) -> Reply:
        """Answer one request."""
        path = head.path.rstrip("/")
        if head.method in ("GET", "HEAD"):
            if path in (LIVE, READY):
                # A service scaled to zero is ready: its next request will get a response.
                return json_response({path.rpartition("/")[2]: True})
            if path == LOAD:
                return json_response({"underWay": round(self._load.average(), 3), "now": self._load.under_way})
            if path == METRICS:
                return Response(200, bytes(generate_latest(self._registry)), CONTENT_TYPE_LATEST.encode())
        if self._held + len(body) > self._most:
            self._requests.labels("503").inc()
            return error(503, "too many bytes of requests wait for a server", b"retry-after: 5\r\n")
        return self._forward(head, body, client)

    def refuse(self, head: Head, refusal: Refusal, client: str) -> Response:
        """A response in the shape of the servers' errors."""
        return error(refusal.code, str(refusal))

    def unread(self, head: Head | None, status: int, reason: str, client: str) -> None:
        """Nothing is recorded here: such a request never was one of the service's."""

    def share(self, head: Head, shown: Shown | None) -> Memory | None:
        """None: only the servers know who calls them."""
        return None

    def largest(self, head: Head, shown: Shown | None = None) -> int:
        """The same for all paths: only the servers know which of them are inferences."""
        return self._largest

    def model_of(self, head: Head) -> str:
        """Empty: only the servers know their models."""
        return ""

    async def _forward(self, head: Head, body: Buffer, client: str) -> Response | Stream:
        self._load.request_began()
        self._held += len(body)
        pieces: AsyncIterator[bytes] | None = None
        try:
            answer = await self._servers.send([_head(head, len(body), client, self._below), body])
            pieces, response = answer.pieces, _response(answer)
        except NoServerError as problem:
            response = error(503, str(problem), b"retry-after: 5\r\n")
        finally:
            self._held -= len(body)
            if pieces is None:
                self._load.request_ended()
        self._requests.labels(str(response.status)).inc()
        if pieces is None:
            return response
        return Stream(self._events(pieces), response.content_type, response.headers)

    async def _events(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Events of a server, which is under load until the last of them. One that breaks off ends with an error."""
        try:
            async with aclosing(pieces) as open_pieces:  # type: ignore[type-var]  # it is a generator
                async for piece in open_pieces:
                    yield piece
        except NoServerError as problem:
            yield error_event(502, str(problem))
        finally:
            self._load.request_ended()


def _head(head: Head, length: int, client: str, below: Below) -> bytes:
    # The client's connection drops the body of a response to HEAD.
    method = "GET" if head.method == "HEAD" else head.method
    path = f"{below.path}{urllib.parse.quote(head.path, safe='/:@!$&()*+,;=~')}"
    own = {"host": below.host} if below.host else {}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items())]
    kept = ((name, value) for name, value in head.headers.items() if name not in own)
    lines += [f"{name}: {value}" for name, value in kept if name not in _HOP_BY_HOP]
    if client and "x-forwarded-for" not in head.headers:
        lines.append(f"x-forwarded-for: {client}")
    return "\r\n".join([*lines, f"content-length: {length}", "\r\n"]).encode("latin-1")


def _response(answer: ServerResponse) -> Response:
    kept = [(name, value) for name, value in answer.headers if name.decode("latin-1") not in _HOP_BY_HOP]
    kind = next((value for name, value in kept if name == b"content-type"), b"application/octet-stream")
    lines = b"".join(b"%b: %b\r\n" % each for each in kept if each[0] != b"content-type")
    return Response(answer.status, answer.body, kind, lines)
