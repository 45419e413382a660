"""The loop that hands each change of an object to the controllers that are switched on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from plimsoll.kubernetes.memory.hand import Hand, copied_as
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError

if TYPE_CHECKING:
    from plimsoll.kubernetes.memory.serving import Serving

_CLOSE_LIMIT = 5.0
_FOREVER = 3600.0
_LOOK = 0.1
"""Seconds between two looks at what is no object, such as a list of a test's own."""


class World(Struct, frozen=True, kw_only=True):
    """What a controller acts with. `fail` takes the defect of a thread of its own, `at_end` what ends such a thread."""

    hand: Hand
    serving: Serving
    fail: Callable[[BaseException], None]
    at_end: Callable[[Callable[[], None]], None]


class Controller(Protocol):
    """Brings objects of some kinds to what is wanted. It is asked after every change of one, and may be asked twice."""

    kinds: frozenset[tuple[str, str]]
    """Group and plural name of what it looks at."""

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to one object, which is `gone` after its deletion. Raises StatusError (409) to be asked anew."""


class Loop:
    """One thread that follows the store; it sleeps while nothing changes."""

    def __init__(self, hand: Hand, serving: Serving) -> None:
        self.problems: list[BaseException] = []
        self._hand = hand
        self._closing = threading.Event()
        self._ends: list[Callable[[], None]] = []
        self._world = World(hand=hand, serving=serving, fail=self.problems.append, at_end=self._ends.append)
        self._controllers: list[Controller] = []
        self._new: list[Controller] = []
        self._thread: threading.Thread | None = None

    def add(self, *controllers: Controller) -> None:
        """Switch controllers on."""
        with self._hand.store.lock:
            self._new += controllers
            self._hand.store.wake()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="memory-controllers")
                self._thread.start()

    def close(self) -> None:
        """Switch all off."""
        self._closing.set()
        self._hand.store.wake()
        if self._thread is not None:
            self._thread.join(_CLOSE_LIMIT)
        for end in self._ends:
            end()

    def wait_for(self, question: Callable[[], object], seconds: float) -> bool:
        """Whether something comes true within a time."""
        end, store = time.monotonic() + seconds, self._hand.store
        while True:
            version = store.version
            if question():
                return True
            if self.problems:
                raise self.problems[0]
            with store.lock:
                waited = store.version != version or store.pause(min(_LOOK, end - time.monotonic()))
            if not waited and time.monotonic() >= end:
                return bool(question())

    def _run(self) -> None:
        store = self._hand.store
        version = store.version
        while not self._closing.is_set():
            with store.lock:
                fresh, self._new = self._new, []
                changes = store.since(max(version, store.oldest))
                version = store.version
                existing = [(each, key) for each in fresh for key in store.keys_in() if key.resource in each.kinds]
                found = [(each, store.get(key), key) for each, key in existing]
            self._controllers += fresh
            for controller, manifest, key in found:
                if manifest is not None:
                    self._ask(controller, key.resource, manifest, gone=False)
            for change in changes:
                for controller in self._controllers:
                    if change.key.resource in controller.kinds:
                        live = store.get(change.key)
                        self._ask(controller, change.key.resource, live or change.object, gone=live is None)
            with store.lock:
                if store.version == version and not self._new and not self._closing.is_set():
                    store.pause(_FOREVER)

    def _ask(self, controller: Controller, resource: tuple[str, str], manifest: Manifest, *, gone: bool) -> None:
        kind = self._world.serving.objects.kinds.preferred(*resource)
        if kind is None or self._closing.is_set():
            return
        try:
            controller.reconcile(self._world, copied_as(kind, manifest), gone=gone)
        except StatusError as refusal:
            # What was changed or ended in between comes again with its own change; the rest is a defect.
            if refusal.code == 403:
                self._tell_of(kind.api_version, manifest, refusal)
            elif refusal.code not in (404, 409):
                self.problems.append(refusal)
        except Exception as error:  # noqa: BLE001  # of a test's own program: the test fails by it, not this thread
            self.problems.append(error)

    def _tell_of(self, api_version: str, manifest: Manifest, refusal: StatusError) -> None:
        """Say in an Event that a controller may not make what an object wants."""
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "default")
        about = {"apiVersion": api_version, "kind": manifest.get("kind", ""), "namespace": namespace}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:50]}.", "namespace": namespace},
            "involvedObject": {**about, "name": metadata["name"], "uid": metadata["uid"]},
            "reason": "FailedCreate",
            "message": f"Error creating: {refusal.message}",
            "type": "Warning",
        }
        # Where no Event is taken either, its namespace is ending: there is nobody left to tell.
        with contextlib.suppress(StatusError):
            self._hand.create(event)
