"""What a front over HTTP is, and endpoints with a fixed response."""

from __future__ import annotations

from typing import Protocol

from plimsoll.runtime.server.heads import Endpoint, ErrorShape, Head
from plimsoll.runtime.server.refusals import Refusal
from plimsoll.runtime.server.responses import Buffer, Response, error
from plimsoll.runtime.server.served import Served


class HttpFront(Protocol):
    """One wire format over HTTP. Its methods are called in the event loop's thread, except `prepare`."""

    root: str
    """The path that its own paths start with, for people who ask for a path that does not exist: `/v2/models`."""

    def endpoint(self, head: Head) -> Endpoint | None:
        """The endpoint for a method and path; `None` when the path is not one of this front's.

        It is remembered with the head. A method that the path does not accept has an endpoint too, which says so.
        """

    def refused(self, refusal: Refusal) -> Response:
        """The response, in the front's own shape, to a request that is not answered."""

    def prepare(self, served: Served) -> None:
        """Make what the front keeps for a version in `Served.fronts`; called in the thread that loads the version."""


def constant(response: Response, errors: ErrorShape) -> Endpoint:
    """An endpoint that gives every request the same response."""

    def respond(head: Head, body: Buffer, client: str) -> Response:
        return response

    return Endpoint(respond, errors)


def wrong_method(head: Head, method: str) -> Response:
    """405 for a path that accepts `method`; paths that accept GET accept HEAD as well."""
    allowed = b"GET, HEAD" if method == "GET" else method.encode()
    return error(405, f"{head.path[:200]} accepts {method}, not {head.method}", b"allow: %b\r\n" % allowed)
