"""The seam for what watches a server: drift, access logs, traces, explanations attach here and nowhere else.

An observer is attached with `--observer package.module:name` (or `--observer 'package.module:name={"a": 1}'`): `name`
is called once for each server process with the JSON object as keyword arguments, and gives an `Observer`.

What it is told comes from one thread of its own, in order and in batches, after the answers have been sent: an observer
that is slow delays no request. One that falls more than `BACKLOG` answers behind loses the newest, which are counted
(`plimsoll_observations_lost_total`). One that raises is reported once on standard error and not called again.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.runtime.tensors import Array

BACKLOG = 20_000
"""Answers that may wait for the observers."""
BACKLOG_BYTES = 256 << 20
"""Bytes of their tensors that may: images are larger than rows."""
PAUSE = 0.05
"""Seconds between two batches: a batch costs one change of threads, however many answers are in it."""


class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """One inference that has been answered, well or not.

    `began` is in seconds since the epoch, `seconds` is how long it took from the request's last byte to the answer.
    `inputs` and `outputs` are empty when the request was not understood; the arrays are the server's own and must not
    be written to. `headers` has those request headers that some observer asked for, names in small letters. `batch` is
    how many requests were computed together; `shadow` marks a copy whose answer nobody got. `reason` is empty at 200.
    """

    model: str
    version: str
    digest: str
    status: int
    began: float
    seconds: float
    inputs: Mapping[str, Array] = {}
    outputs: Mapping[str, Array] = {}
    headers: Mapping[str, str] = {}
    client: str = ""
    id: str | None = None
    batch: int = 1
    shadow: bool = False
    reason: str = ""


class Reply(Struct, frozen=True, kw_only=True):
    """What an observer answers to a request on a path of its own."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Observer:
    """What watches. Every method may be left as it is."""

    headers: frozenset[str] = frozenset()
    """Names of request headers, in small letters, that `Answer.headers` shall have (such as `traceparent`)."""
    paths: tuple[str, ...] = ()
    """Beginnings of paths that this observer answers, such as `/v2/feedback`."""

    def answered(self, answers: Sequence[Answer]) -> None:
        """Take note of answers; called from the observers' thread."""

    def more_outputs(
        self, model: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """Further outputs of a request that has `parameters`, such as explanations; `model` is a `runtime.model.Model`.

        Called in the request's way, only for requests with parameters of their own. BadTensor becomes a 400.
        """
        return {}

    def respond(self, method: str, path: str, body: bytes) -> Reply:
        """Answer a request under one of `paths`; called in a worker thread."""
        raise NotImplementedError

    def page(self) -> bytes:
        """Prometheus text that is put behind the server's own on `/metrics`."""
        return b""

    def close(self) -> None:
        """The server has drained; nothing is called after this."""


class Observers:
    """All observers of a server, and the thread that tells them."""

    def __init__(self, watching: Sequence[Observer] = ()) -> None:
        self.watching = list(watching)
        self.headers: frozenset[str] = frozenset().union(*(observer.headers for observer in watching))
        self.lost = 0
        self._waiting: deque[Answer] = deque()
        self._bytes = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="observers", daemon=True)
        if self.watching:
            self._thread.start()

    def answered(self, answer: Answer) -> None:
        """Put an answer where the observers' thread finds it; costs about a microsecond."""
        for tensors in (answer.inputs, answer.outputs):
            for array in tensors.values():
                self._bytes += array.nbytes
        if len(self._waiting) < BACKLOG and self._bytes < BACKLOG_BYTES:
            self._waiting.append(answer)
        else:
            self.lost += 1

    def at(self, path: str) -> Observer | None:
        """The observer that answers a path."""
        for observer in self.watching:
            if path.startswith(observer.paths):
                return observer
        return None

    def page(self) -> bytes:
        """The observers' own metrics."""
        return b"".join(observer.page() for observer in self.watching)

    def close(self) -> None:
        """Tell the rest and end; waits at most two seconds for an observer that hangs."""
        self._ending.set()
        if self.watching:
            self._thread.join(2.0)
        for observer in self.watching:
            observer.close()

    def _tell(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(PAUSE)
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            # What is lost counts until the next batch, so that the sum need not be exact to be bounded.
            self._bytes = 0
            if batch:
                self._tell_all(batch)

    def _tell_all(self, batch: Sequence[Answer]) -> None:
        for observer in list(self.watching):
            try:
                observer.answered(batch)
            except Exception:  # noqa: BLE001 - an observer's defect must not end the service that it watches
                sys.stderr.write(f"an observer failed and is left out from now on:\n{traceback.format_exc()}")
                self.watching.remove(observer)


def observer_from(written: str) -> Observer:
    """The observer that `package.module:name` or `package.module:name={…}` names. Raises TargetError."""
    place, _, arguments = written.partition("=")
    module, _, name = place.partition(":")
    try:
        made: Any = getattr(importlib.import_module(module), name)(**json.loads(arguments or "{}"))
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        hint = 'write it as package.module:name or package.module:name={"argument": value}'
        raise TargetError(f"the observer cannot be attached: {error}", where=written, hint=hint) from error
    if not isinstance(made, Observer):
        raise TargetError(f"this gives a {type(made).__name__}, not an Observer", where=written)
    return made
