"""All fronts that share the HTTP port: finds the front of each request, and answers what none of them does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence

from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.front import HttpFront, constant
from plimsoll.runtime.server.fronts.pages import Pages
from plimsoll.runtime.server.heads import BadHead, Endpoint, Head
from plimsoll.runtime.server.hosts import KnownHosts
from plimsoll.runtime.server.identities.callers import KeysNeeded, Shown
from plimsoll.runtime.server.identities.gate import Gate
from plimsoll.runtime.server.identities.limits import Place
from plimsoll.runtime.server.identities.places import until_left
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.recording import OK
from plimsoll.runtime.server.refusals import GONE, Busy, NotReady, Refusal, TooLarge, TooMany, Unauthenticated, defect
from plimsoll.runtime.server.responses import Buffer, Reply, Response, Stream, error
from plimsoll.runtime.server.served import Served

LARGEST_OF_OTHERS = 1 << 20
"""Bytes of a request that is no inference: a label, a name, or nothing."""


class Mount:
    """Answers the requests of all connections: `listening.Answering` for the server."""

    def __init__(self, plane: DataPlane, fronts: Sequence[HttpFront], hosts: KnownHosts | None = None) -> None:
        """The first of `fronts` also shapes the errors of paths that belong to no front. There is at least one.

        `hosts` are the names that the server goes by; without them any.
        """
        self._plane = plane
        self._hosts = hosts
        self.memory = plane.memory
        self._largest = plane.limits.body
        self._fronts = tuple(fronts)
        self._pages = Pages(plane, errors=self._fronts[0])

    def respond(self, head: Head, body: Buffer, client: str, shown: Shown | None = None) -> Reply:
        """Answer one request, at once where that is possible."""
        endpoint = head.endpoint
        try:
            if endpoint is None:
                endpoint = head.endpoint = self._find(head)
            gate = self._plane.gate
            if gate is None:
                return self._answered(endpoint, head, body, client)
            return self._guarded(gate, endpoint, head, body, client, shown)
        except Exception:  # noqa: BLE001 - a defect ends neither the connection nor the requests of others
            return self.refuse(head, defect(), client)

    def _answered(self, endpoint: Endpoint, head: Head, body: Buffer, client: str) -> Reply:
        """The answer of an endpoint, recorded unless the endpoint records by itself."""
        reply = endpoint.respond(head, body, client)
        if endpoint.recorded or not self._plane.observers.sees_changes:
            return reply
        if isinstance(reply, Response):
            self._record(endpoint, head, client, reply.status)
            return reply
        return self._recorded(reply, endpoint, head, client)

    def _guarded(
        self, gate: Gate, endpoint: Endpoint, head: Head, body: Buffer, client: str, shown: Shown | None
    ) -> Reply:
        """The answer for a caller who may have it."""
        try:
            place = gate.enter(head.headers, endpoint.role, len(body), shown)
        except KeysNeeded:
            return self._after_keys(gate, endpoint, head, body, client)
        except Refusal as refusal:
            return self._kept_out(endpoint, head, client, refusal)
        return self._in_place(place, self._answered(endpoint, head, body, client))

    async def _after_keys(
        self, gate: Gate, endpoint: Endpoint, head: Head, body: Buffer, client: str
    ) -> Response | Stream:
        """As `_guarded`, for a token whose key the issuer may have made just now."""
        try:
            place = await gate.enter_later(head.headers, endpoint.role, len(body))
        except Refusal as refusal:
            return self._kept_out(endpoint, head, client, refusal)
        reply = self._in_place(place, self._answered(endpoint, head, body, client))
        return reply if isinstance(reply, Response) else await reply

    def _in_place(self, place: Place | None, reply: Reply) -> Reply:
        if place is None:
            return reply
        if isinstance(reply, Response):
            place.leave()
            return reply
        return until_left(place, reply)

    def _kept_out(self, endpoint: Endpoint, head: Head, client: str, refusal: Refusal) -> Response:
        """The response for a caller who may not have an answer; that she asked is recorded."""
        if endpoint.model:
            self._plane.refused_before(endpoint.model, head.headers, client, refusal)
        else:
            self._plane.called(_call(head), head.headers, client, refusal.code, str(refusal))
        response = endpoint.errors.refused(refusal)
        if isinstance(refusal, Unauthenticated):
            response.headers += b"www-authenticate: Bearer\r\n"
        return response

    def refuse(self, head: Head, refusal: Refusal, client: str) -> Response:
        """The response to a refused request, in the shape of the front that its path belongs to."""
        endpoint = head.endpoint or self._find(head)
        if endpoint.model and isinstance(refusal, TooLarge | Busy | TooMany):
            # The front never sees these.
            self._plane.refused_before(endpoint.model, head.headers, client, refusal)
        elif isinstance(refusal, TooLarge | Busy | TooMany) or not endpoint.recorded:
            self._plane.called(_call(head), head.headers, client, refusal.code, str(refusal))
        return endpoint.errors.refused(refusal)

    def unread(self, head: Head | None, status: int, reason: str, client: str) -> None:
        """Record a request that cannot be read, or whose client has gone before it was whole."""
        call = _call(head) if head is not None else ""
        self._plane.called(call, head.headers if head is not None else {}, client, status, reason)

    async def _recorded(
        self, reply: Awaitable[Response | Stream], endpoint: Endpoint, head: Head, client: str
    ) -> Response | Stream:
        began = time.perf_counter()
        try:
            answer = await reply
        except asyncio.CancelledError:
            self._plane.called(_call(head), head.headers, client, GONE, "the client has gone", began)
            raise
        self._record(endpoint, head, client, answer.status if isinstance(answer, Response) else OK, began)
        return answer

    def _record(self, endpoint: Endpoint, head: Head, client: str, status: int, began: float | None = None) -> None:
        # Probes that find a server not ready are no refusals.
        if not endpoint.probe or status not in {OK, NotReady.code}:
            self._plane.called(_call(head), head.headers, client, status, began=began)

    def share(self, head: Head, shown: Shown | None) -> Memory | None:
        """What the caller may hold of the memory, where callers have limits of their own."""
        return self._plane.gate.share(head.headers, shown) if self._plane.gate is not None else None

    def largest(self, head: Head, shown: Shown | None = None) -> int:
        """The limit of a request for inferences, which have tensors; less for all others."""
        endpoint = head.endpoint or self._find(head)
        if head.length is None or head.length > LARGEST_OF_OTHERS:
            self._require_known(head, endpoint, shown)
        share = self.share(head, shown)
        most = self._largest if share is None else min(self._largest, share.limit)
        if endpoint.largest is not None:
            return min(most, endpoint.largest)
        return most if endpoint.model else min(most, LARGEST_OF_OTHERS)

    def _require_known(self, head: Head, endpoint: Endpoint, shown: Shown | None) -> None:
        """Raise BadHead for a long body of a stranger, which is not received first."""
        if self._plane.gate is None or endpoint.role is None:
            return
        try:
            self._plane.gate.caller(head.headers, shown)
        except KeysNeeded:
            return
        except Refusal as refusal:
            self._kept_out(endpoint, head, "", refusal)
            raise BadHead(refusal.code, str(refusal)) from refusal

    def model_of(self, head: Head) -> str:
        """The model that an inference is for; empty for other requests."""
        return (head.endpoint or self._find(head)).model

    def prepare(self, served: Served) -> None:
        """Prepare a version that is being loaded for all fronts."""
        for front in self._fronts:
            front.prepare(served)

    def _find(self, head: Head) -> Endpoint:
        endpoint = self._pages.endpoint(head)
        for front in self._fronts:
            endpoint = endpoint or front.endpoint(head)
        if endpoint is not None:
            # Once for each head, as its endpoint is remembered with it.
            stranger = self._refusal(head, endpoint)
            return constant(error(403, stranger), self._fronts[0]) if stranger else endpoint
        if self._hosts and (stranger := self._hosts.stranger(head.headers)):
            return constant(error(403, stranger), self._fronts[0])
        roots = " or ".join(dict.fromkeys(front.root for front in self._fronts))
        reason = f"there is nothing at this path; the paths of models start with {roots}"
        return constant(error(404, reason), self._fronts[0])

    def _refusal(self, head: Head, endpoint: Endpoint) -> str:
        """Why a request is refused for the names in it; empty when it is not."""
        if self._hosts is None:
            return ""
        stranger = self._hosts.stranger(head.headers) if endpoint.role is not None else ""
        return stranger or (self._hosts.refusal(head.headers) if endpoint.private else "")


def _call(head: Head) -> str:
    return f"{head.method} {head.path}"
