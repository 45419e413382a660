"""Paths that belong to the server and not to a front: its home page, the metrics page, and the paths of observers."""

from __future__ import annotations

import asyncio
from functools import partial

from plimsoll.runtime.server.counts import total
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.assistant_page import assistant_page
from plimsoll.runtime.server.fronts.front import constant, wrong_method
from plimsoll.runtime.server.fronts.home import Described, home
from plimsoll.runtime.server.heads import Endpoint, ErrorShape, Head
from plimsoll.runtime.server.identities.callers import Role
from plimsoll.runtime.server.observers import Observer
from plimsoll.runtime.server.refusals import Forbidden, Refusal
from plimsoll.runtime.server.responses import Buffer, Response

_CHATS = ("llm", "assistant")
"""What answers at the chat's path."""


class Pages:
    """Finds the endpoints of these paths."""

    def __init__(self, plane: DataPlane, errors: ErrorShape) -> None:
        self._plane = plane
        self._errors = errors

    def endpoint(self, head: Head) -> Endpoint | None:
        """The endpoint for a method and path; `None` when the path is not one of these."""
        observer = self._plane.observers.at(head.path)
        if observer is not None:
            role: Role = "feedback" if self._plane.observers.is_guarded(head.path) else "metrics"
            probe = _is_metrics(head)
            return Endpoint(partial(self._ask, observer), self._errors, private=True, role=role, probe=probe)
        if head.path != "/" and head.path.strip("/") != "metrics":
            return None
        if head.method not in {"GET", "HEAD"}:
            return constant(wrong_method(head, "GET"), self._errors)
        if head.path == "/":
            return Endpoint(self._home, self._errors)
        return Endpoint(self._metrics, self._errors, private=True, role="metrics", probe=True)

    def _home(self, head: Head, body: Buffer, client: str) -> Response:
        try:
            names = list(dict.fromkeys(each.name for each in self._plane.index()))
        except Refusal as refusal:
            return self._errors.refused(refusal)
        if "text/html" in head.headers.get("accept", "") and (assistant := self._assistant()):
            return assistant_page(assistant)
        return home(map(self._described, names), head.headers)

    def _assistant(self) -> str:
        """The assistant that is served; empty without one."""
        return next((each.name for each in self._plane.catalog.all() if each.kind == "assistant"), "")

    def _described(self, name: str) -> Described:
        try:
            metadata = self._plane.metadata(name, None)
        except Refusal as refusal:
            return Described(name=name, reason=str(refusal))
        versions = tuple(metadata.versions)
        return Described(name=name, versions=versions, spec=metadata.spec, language_model=metadata.kind in _CHATS)

    async def _metrics(self, head: Head, body: Buffer, client: str) -> Response:
        from plimsoll.runtime.server.metrics import CONTENT_TYPE, page

        # A copy, as the event loop goes on counting while a thread writes the page.
        counts = total([await self._plane.counts_of_all()])
        whole = await asyncio.to_thread(lambda: page(counts) + self._plane.observers.page())
        return Response(200, whole, CONTENT_TYPE.encode())

    async def _ask(self, observer: Observer, head: Head, body: Buffer, client: str) -> Response:
        if self._plane.observers.is_guarded(head.path):
            try:
                await self._plane.administration.check(head.headers, "feedback")
            except Forbidden as refusal:
                return self._errors.refused(refusal)
        reply = await asyncio.to_thread(observer.respond, head.method, head.path, bytes(body))
        return Response(reply.status, reply.body, reply.content_type.encode())


def _is_metrics(head: Head) -> bool:
    """Whether a path is one that monitoring reads every few seconds."""
    return head.method in {"GET", "HEAD"} and head.path.rstrip("/").endswith("metrics")
