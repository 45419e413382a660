"""Lists, page by page as of one moment, and watches."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Iterator, Mapping

import msgspec

from plimsoll.kubernetes.memory import selectors
from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError, bad_request
from plimsoll.kubernetes.memory.requests import ApiPath
from plimsoll.kubernetes.memory.selectors import Test
from plimsoll.kubernetes.memory.store import Store, StoredChange

_LONGEST_WATCH = 3600.0
_BOOKMARK_BEFORE_END = 2.0


class Dropped(Exception):
    """A watch whose connection is to break off."""


def shown(kind: ServedKind, manifest: Manifest) -> Manifest:
    """An object as it is answered in one version of its kind."""
    return {**manifest, "apiVersion": kind.api_version, "kind": kind.kind}


def selected(place: ApiPath, parameters: Mapping[str, str]) -> Test:
    """The test of a request's selectors. Raises StatusError (400)."""
    by_label = selectors.of_labels(parameters.get("labelSelector", ""))
    by_field = selectors.of_fields(parameters.get("fieldSelector", ""), place.kind.resource)
    return lambda found: by_label(found) and by_field(found)


def listed(store: Store, place: ApiPath, parameters: Mapping[str, str]) -> Manifest:
    """A list, or a page of one. Raises StatusError: 400 for what cannot be read, 410 for a token that is too old."""
    test = selected(place, parameters)
    limit = _number(parameters, "limit")
    with store.lock:
        if token := parameters.get("continue"):
            version, found = store.page(_name_of(token))
        else:
            version = store.version
            found = [each for each in store.list(place.kind.resource, place.namespace) if test(each)]
    page, rest = (found[:limit], found[limit:]) if limit else (found, [])
    metadata: Manifest = {"resourceVersion": str(version)}
    if rest:
        metadata["continue"] = _token_of(store.keep_page(version, rest), version)
        if not parameters.get("labelSelector") and not parameters.get("fieldSelector"):
            metadata["remainingItemCount"] = len(rest)
    kind = place.kind
    # Items of Kubernetes' own kinds do not say what they are; those of definitions do.
    items = [shown(kind, each) if kind.custom else _bare(each) for each in page]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _bare(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}


def _number(parameters: Mapping[str, str], name: str) -> int:
    text = parameters.get(name, "")
    if text and not text.isdecimal():
        raise bad_request(f"{name}: Invalid value: {text!r}: must be a number")
    return int(text or 0)


def _token_of(name: str, version: int) -> str:
    content = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": name})
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _name_of(token: str) -> str:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return str(content["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid") from error


class Watches:
    """Every watch of a cluster. `drop` breaks those off that are open, `close` ends all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._epoch = 0
        self._closed = threading.Event()
        self.open = 0

    def drop(self) -> None:
        """Break off the watches that are open now."""
        with self._store.lock:
            self._epoch += 1
            self._store.wake()

    def close(self) -> None:
        """End all watches, now and later."""
        self._closed.set()
        self._store.wake()

    def stream(self, place: ApiPath, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """Events as lines of JSON. Raises StatusError (400), and Dropped midway."""
        test = selected(place, parameters)
        asked = parameters.get("resourceVersion", "")
        if asked and not asked.isdecimal():
            raise bad_request(f"Invalid value: {asked!r}: resourceVersion must be a number")
        seconds = float(_number(parameters, "timeoutSeconds") or _LONGEST_WATCH)
        return self._events(place, test, parameters, asked, time.monotonic() + seconds)

    def _events(
        self, place: ApiPath, test: Test, parameters: Mapping[str, str], asked: str, deadline: float
    ) -> Iterator[bytes]:
        with self._store.lock:
            epoch, self.open = self._epoch, self.open + 1
            initial = self._store.list(place.kind.resource, place.namespace) if asked in ("", "0") else []
            version = int(asked) if asked not in ("", "0") else self._store.version
        try:
            for each in initial:
                if test(each):
                    yield _event("ADDED", shown(place.kind, each))
            yield from self._changes(place, test, parameters, version, deadline, epoch)
        finally:
            with self._store.lock:
                self.open -= 1

    def _changes(
        self,
        place: ApiPath,
        test: Test,
        parameters: Mapping[str, str],
        version: int,
        deadline: float,
        epoch: int,
    ) -> Iterator[bytes]:
        bookmarks = parameters.get("allowWatchBookmarks") in ("true", "1")
        due = bookmarks
        while not self._closed.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                changes = self._store.since(version)
            except StatusError as refusal:
                yield _event("ERROR", refusal.status())
                return
            for change in changes:
                version = change.version
                if (event := _told(place, test, change)) is not None:
                    yield event
            if due and not changes:
                yield _bookmark(place, version, parameters)
                due = False
            with self._store.lock:
                if self._epoch != epoch:
                    raise Dropped
            if not changes:
                limit = left - _BOOKMARK_BEFORE_END if bookmarks and left > _BOOKMARK_BEFORE_END else left
                self._wait(version, limit, epoch)
                due = bookmarks and limit < left

    def _wait(self, version: int, seconds: float, epoch: int) -> None:
        end = time.monotonic() + seconds
        with self._store.lock:
            while self._store.version == version and self._epoch == epoch and not self._closed.is_set():
                if not self._store.pause(end - time.monotonic()):
                    return


def _told(place: ApiPath, test: Test, change: StoredChange) -> bytes | None:
    """What a watch with a selector is told: an object that comes to match is new, one that no longer does is gone."""
    if change.key.resource != place.kind.resource or place.namespace not in ("", change.key.namespace):
        return None
    before = change.before is not None and test(change.before)
    after = change.after is not None and test(change.after)
    if not before and not after:
        return None
    kind = "DELETED" if not after else "MODIFIED" if before else "ADDED"
    return _event(kind, shown(place.kind, change.object))


def _event(kind: str, manifest: Manifest) -> bytes:
    return msgspec.json.encode({"type": kind, "object": manifest}) + b"\n"


def _bookmark(place: ApiPath, version: int, parameters: Mapping[str, str]) -> bytes:
    metadata: Manifest = {"resourceVersion": str(version)}
    if parameters.get("sendInitialEvents") == "true":
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return _event("BOOKMARK", {"kind": place.kind.kind, "apiVersion": place.kind.api_version, "metadata": metadata})
