"""The audit log of a cluster's API server, joined with the calls of services. Pure.

Source: audit.k8s.io/v1, an event as JSON on each line (or an EventList of a backend that sends several).

An event is joined with a run by the label that each object of Plimsoll has, where the log has the object (levels
Request and RequestResponse); what else happens to that object then belongs to the run too, also at the level Metadata.
It is joined with calls of the same user within some seconds.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from plimsoll.audit.query import Call, Query
from plimsoll.audit.verification import Place
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError

API_VERSION = "audit.k8s.io/v1"
APPLICATION, SERVICE, RUN, MANAGER = (
    "plimsoll.dev/application",
    "plimsoll.dev/service",
    "plimsoll.dev/run",
    "app.kubernetes.io/managed-by",
)
"""Labels and annotations of what is made in a cluster, as `targets.kubernetes.names` has them."""
MOST_EVENTS = 200_000
"""Events that are held at once: those that are joined, and the objects that they are about."""
MOST_NAMED = 16
"""Calls that are named beside one event."""
_LATEST = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


class _User(Struct, frozen=True):
    username: str = ""


class _Object(Struct, frozen=True, rename="camel"):
    resource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""
    subresource: str = ""


class _Status(Struct, frozen=True):
    code: int = 0
    message: str = ""


class _Metadata(Struct, frozen=True):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


@decodable
class _Content(Struct, frozen=True):
    metadata: _Metadata | None = None


@decodable
class _Event(Struct, frozen=True, kw_only=True, rename="camel"):
    kind: str = ""
    api_version: str = ""
    audit_id: str = msgspec.field(name="auditID", default="")
    stage: str = ""
    verb: str = ""
    request_uri: str = msgspec.field(name="requestURI", default="")
    user: _User = _User()
    impersonated_user: _User | None = None
    source_ips: tuple[str, ...] = msgspec.field(name="sourceIPs", default=())
    object_ref: _Object | None = None
    response_status: _Status | None = None
    request_received_timestamp: datetime | None = None
    request_object: msgspec.Raw = msgspec.Raw()
    response_object: msgspec.Raw = msgspec.Raw()
    annotations: dict[str, str] | None = None


@decodable
class _List(Struct, frozen=True):
    items: tuple[msgspec.Raw, ...] = ()


class ClusterEvent(Struct, frozen=True, kw_only=True):
    """A request to the API server. `calls` are the lines of the calls that it is joined with, the first of them."""

    place: Place
    audit_id: str
    at: datetime
    user: str
    client: str
    verb: str
    object: str
    code: int
    stage: str
    reason: str = ""
    decision: str = ""
    application: str = ""
    service: str = ""
    run: str = ""
    calls: tuple[str, ...] = ()


class Joined(Struct, frozen=True, kw_only=True):
    """The events that are joined, by time; how many others there are, and lines that are no events."""

    events: tuple[ClusterEvent, ...]
    others: int = 0
    unreadable: int = 0


class _Owner(Struct, frozen=True, kw_only=True):
    application: str = ""
    service: str = ""
    run: str = ""


def joined_with(lines: Iterable[tuple[Place, bytes]], calls: Sequence[Call], query: Query, within: timedelta) -> Joined:
    """Join the lines of a cluster's log with calls. Raises PlimsollError for more events than are held at once."""
    unreadable = 0
    latest: dict[str, tuple[Place, _Event, str]] = {}
    owners: dict[tuple[str, str, str, str], _Owner] = {}
    for place, line in lines:
        events = _events_in(line)
        if events is None:
            unreadable += 1
            continue
        for event in events:
            before = latest.get(event.audit_id)
            if before is None or _rank(event) >= _rank(before[1]):
                latest[event.audit_id] = (place, _slim(event), _name(event))
            _learn(event, owners)
            if len(latest) > MOST_EVENTS:
                raise PlimsollError(
                    f"the log of the cluster has more than {MOST_EVENTS} events",
                    where=str(place),
                    hint="give a part of it, by time: one file of those that the API server rotates",
                )
    by_user = _by_user(calls)
    found = [_joined(place, event, name, owners, by_user, within) for place, event, name in latest.values()]
    ours = [each for each in found if each.application or each.run or each.service or each.calls]
    wanted = sorted((each for each in ours if _matches(each, query)), key=lambda each: each.at)
    return Joined(events=tuple(wanted), others=len(found) - len(ours), unreadable=unreadable)


def _events_in(line: bytes) -> list[_Event] | None:
    """The events of a line; None for a line that has none."""
    try:
        found = msgspec.json.decode(line, type=_Event)
        if found.api_version != API_VERSION:
            return None
        if found.kind == "EventList":
            listed = msgspec.json.decode(line, type=_List).items
            events = [msgspec.json.decode(each, type=_Event) for each in listed]
        else:
            events = [found] if found.kind == "Event" else []
    except UNREADABLE:
        return None
    events = [each for each in events if each.audit_id and each.request_received_timestamp is not None]
    return events or None


def _name(event: _Event) -> str:
    """The name of the object: one that was made with `generateName` has it in the answer alone."""
    named = event.object_ref.name if event.object_ref is not None else ""
    return named or _metadata(event.response_object).name


def _slim(event: _Event) -> _Event:
    """The event without the objects in it, which may be large: what they say of their owner is noted."""
    return msgspec.structs.replace(event, request_object=msgspec.Raw(), response_object=msgspec.Raw())


def _rank(event: _Event) -> int:
    return _LATEST.index(event.stage) if event.stage in _LATEST else -1


def _learn(event: _Event, owners: dict[tuple[str, str, str, str], _Owner]) -> None:
    """Note whose an object is, where the event has its labels."""
    reference = event.object_ref
    if reference is None:
        return
    for content in (event.response_object, event.request_object):
        metadata = _metadata(content)
        told = {**(metadata.annotations or {}), **(metadata.labels or {})}
        if told.get(MANAGER) != "plimsoll" and RUN not in told:
            continue
        owner = _Owner(application=told.get(APPLICATION, ""), service=told.get(SERVICE, ""), run=told.get(RUN, ""))
        owners[_key(reference, reference.name or metadata.name)] = owner
        return


def _metadata(content: msgspec.Raw) -> _Metadata:
    if not bytes(content):
        return _Metadata()
    try:
        return msgspec.json.decode(content, type=_Content).metadata or _Metadata()
    except UNREADABLE:
        return _Metadata()


def _key(reference: _Object, name: str) -> tuple[str, str, str, str]:
    return reference.api_group, reference.resource, reference.namespace, name


def _by_user(calls: Sequence[Call]) -> Mapping[str, list[tuple[datetime, str]]]:
    found: dict[str, list[tuple[datetime, str]]] = {}
    for call in calls:
        user, at = call.who.get("user"), call.at
        if isinstance(user, str) and user and at is not None:
            found.setdefault(user, []).append((at, str(call.place)))
    for times in found.values():
        times.sort()
    return found


def _joined(
    place: Place,
    event: _Event,
    name: str,
    owners: Mapping[tuple[str, str, str, str], _Owner],
    by_user: Mapping[str, list[tuple[datetime, str]]],
    within: timedelta,
) -> ClusterEvent:
    assert event.request_received_timestamp is not None  # noqa: S101 - events without a time are passed over
    at = event.request_received_timestamp
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    user = (event.impersonated_user or event.user).username
    reference = event.object_ref or _Object()
    owner = owners.get(_key(reference, name), _Owner())
    status = event.response_status or _Status()
    return ClusterEvent(
        place=place,
        audit_id=event.audit_id,
        at=at,
        user=user,
        client=event.source_ips[0] if event.source_ips else "",
        verb=event.verb,
        object=_object(reference, name) or event.request_uri,
        code=status.code,
        stage=event.stage,
        reason=status.message,
        decision=(event.annotations or {}).get("authorization.k8s.io/decision", ""),
        application=owner.application,
        service=owner.service,
        run=owner.run,
        calls=tuple(_near(by_user.get(user, []), at, within)),
    )


def _near(times: Sequence[tuple[datetime, str]], at: datetime, within: timedelta) -> Iterator[str]:
    """The first calls within some seconds of a time."""
    begin = bisect.bisect_left(times, (at - within, ""))
    for when, place in times[begin : begin + MOST_NAMED]:
        if when > at + within:
            return
        yield place


def _object(reference: _Object, name: str) -> str:
    if not reference.resource:
        return ""
    group = f".{reference.api_group}" if reference.api_group else ""
    sub = f"/{reference.subresource}" if reference.subresource else ""
    return f"{reference.resource}{group}{sub} {reference.namespace}/{name}"


def _matches(event: ClusterEvent, query: Query) -> bool:
    """As calls match; what asks for a model asks for calls, and events that are joined with one of them."""
    return (
        (query.since is None or event.at >= query.since)
        and (query.until is None or event.at < query.until)
        and (query.caller is None or query.caller in (event.user, event.client))
        and (not query.statuses or any(event.code in each for each in query.statuses))
        and ((query.model is None and query.version is None) or bool(event.calls))
    )
