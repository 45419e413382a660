"""All fronts that share the HTTP port: finds the front of each request, and answers what none of them does."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.front import HttpFront, constant
from plimsoll.runtime.server.fronts.pages import Pages
from plimsoll.runtime.server.heads import Endpoint, Head
from plimsoll.runtime.server.hosts import KnownHosts
from plimsoll.runtime.server.refusals import Refusal, TooLarge, defect
from plimsoll.runtime.server.responses import Buffer, Reply, Response, error
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

    def respond(self, head: Head, body: Buffer, client: str) -> Reply:
        """Answer one request, at once where that is possible."""
        endpoint = head.endpoint
        try:
            if endpoint is None:
                endpoint = head.endpoint = self._find(head)
            return endpoint.respond(head, body, client)
        except Exception:  # noqa: BLE001 - a defect ends neither the connection nor the requests of others
            return self.refuse(head, defect())

    def refuse(self, head: Head, refusal: Refusal) -> Response:
        """The response to a refused request, in the shape of the front that its path belongs to."""
        endpoint = head.endpoint or self._find(head)
        if endpoint.model and isinstance(refusal, TooLarge):
            # The front never sees this one.
            self._plane.refused_before(endpoint.model, head.headers, "", refusal)
        return endpoint.errors.refused(refusal)

    def largest(self, head: Head) -> int:
        """The limit of a request for inferences, which have tensors; less for all others."""
        endpoint = head.endpoint or self._find(head)
        if endpoint.largest is not None:
            return min(self._largest, endpoint.largest)
        return self._largest if endpoint.model else min(self._largest, LARGEST_OF_OTHERS)

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
            stranger = self._hosts.refusal(head.headers) if self._hosts and endpoint.private else ""
            return constant(error(403, stranger), self._fronts[0]) if stranger else endpoint
        roots = " or ".join(front.root for front in self._fronts)
        reason = f"there is nothing at this path; the paths of models start with {roots}"
        return constant(error(404, reason), self._fronts[0])
