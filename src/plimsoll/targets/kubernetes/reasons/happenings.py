"""What events say of things that wait: pods on their nodes, and what should make pods and cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.kubernetes.api import Page
from plimsoll.targets.kubernetes.reasons.admission import refused
from plimsoll.targets.kubernetes.reasons.cause import STUCK_LIMIT, Cause

_CREATION = re.compile(r"(?:Error creating|[Ff]ailed to create|create Pod|is forbidden|denied)", re.DOTALL)
_POD_WORDS = {
    "FailedMount": "a volume of the pod {pod} cannot be mounted",
    "FailedAttachVolume": "a volume of the pod {pod} cannot be attached",
    "FailedMapVolume": "a volume of the pod {pod} cannot be mapped",
    "FailedCreatePodSandBox": "the node cannot make the sandbox of the pod {pod}",
    "FailedPodSandBoxStatus": "the node cannot make the sandbox of the pod {pod}",
    "NetworkNotReady": "the network of the node of the pod {pod} is not ready",
    "FailedPrepareDynamicResources": "the devices of the pod {pod} cannot be prepared",
    "FailedCreatePodContainer": "the container of the pod {pod} cannot be made",
    "FailedSync": "the node cannot start the pod {pod}",
    "FailedPostStartHook": "the container of the pod {pod} fails after its start",
    "FailedResourceClaimCreation": "the resource claim of the pod {pod} cannot be made",
}
_SLOW = {"Pulling": "the pod {pod} waits for its image: {message}"}
_ENDS = frozenset({"DeadlineExceeded", "BackoffLimitExceeded", "FailedJobs", "ReachedMaxRestarts"})
"""What a workload's conditions say better."""
_QUIET = frozenset({"Scheduled", "Pulled", "Created", "Started", "SuccessfulCreate", "Killing", "AddedInterface"})
_REMEDIES = (
    (re.compile(r'secret "([^"]+)" not found|secrets? "([^"]+)" is forbidden'), "make the Secret"),
    (re.compile(r'configmap "([^"]+)" not found'), "make the ConfigMap"),
    (re.compile(r'persistentvolumeclaim "([^"]+)" not found'), "make the claim"),
    (re.compile(r"Multi-Attach"), "it goes on once the other node lets it go"),
    (re.compile(r"cni|network", re.IGNORECASE), "look at the node's network plug-in"),
    (re.compile(r"RuntimeHandler|no runtime for|runtime handler", re.IGNORECASE), "correct the RuntimeClass"),
)


class About(Struct, frozen=True, rename="camel"):
    """The object that an event is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class Series(Struct, frozen=True, rename="camel"):
    """That an event has come again."""

    last_observed_time: str | None = None


class EventTimes(Struct, frozen=True, rename="camel"):
    """When an event was written first."""

    creation_timestamp: str = ""


class Event(Struct, frozen=True, rename="camel"):
    """As much of an Event as a reason is made of."""

    metadata: EventTimes
    involved_object: About
    type: str = ""
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None
    series: Series | None = None

    @property
    def at(self) -> str:
        """When it came last, to the second and in UTC: such texts compare as their times do."""
        times = (
            self.series.last_observed_time if self.series else None,
            self.last_timestamp,
            self.event_time,
            self.metadata.creation_timestamp,
        )
        return max((each[:19] for each in times if each), default="")


EVENTS = decodable(Page[Event])


def of_pod(uid: str, name: str, events: Iterable[Event]) -> Cause | None:
    """Why a pod with a node does not start, by the newest event about it that says something of it."""
    found = [each for each in events if each.involved_object.uid == uid and each.reason not in _QUIET]
    for each in sorted(found, key=lambda event: event.at, reverse=True):
        if words := _POD_WORDS.get(each.reason):
            text = f"{words.format(pod=name)}: {_short(each.message)}{_remedy(each.message)}"
            return Cause(kind=each.reason, text=text, patience=STUCK_LIMIT)
        if words := _SLOW.get(each.reason):
            return Cause(kind=each.reason, text=words.format(pod=name, message=_short(each.message)))
    return None


def lost_node(uid: str, events: Iterable[Event]) -> bool:
    """Whether a pod's node was said to be not ready, and nothing was said since."""
    found = [each for each in events if each.involved_object.uid == uid]
    newest = max(found, key=lambda event: event.at, default=None)
    return newest is not None and newest.reason in ("NodeNotReady", "TaintManagerEviction")


def of_owner(name: str, namespace: str, events: Iterable[Event], after: str = "", what: str = "") -> Cause | None:
    """Why what is called so, or was made for it and is called after it, has no pods: by the newest warning since.

    `what` is not made, in words; by default it is told of the object that the warning is about.
    """
    found = [
        each
        for each in events
        if each.type == "Warning"
        and each.reason not in _ENDS
        and _is_for(each.involved_object, name)
        and each.at >= after[:19]
    ]
    newest = max(found, key=lambda event: event.at, default=None)
    if newest is None:
        return None
    about = newest.involved_object
    if _CREATION.search(newest.message):
        made = "pods" if about.kind in ("Job", "ReplicaSet", "RayCluster") else "objects"
        return refused(newest.message, namespace, what or f"{made} of the {about.kind} {about.name}")
    text = f"the {about.kind} {about.name} says {newest.reason}: {_short(newest.message)}"
    return Cause(kind="owner", text=text)


def _is_for(about: About, name: str) -> bool:
    """Whether an object is the one of that name, or was made for it. A ReplicaSet's own part has no hyphen."""
    own = about.name.removeprefix(f"{name}-") if about.name.startswith(f"{name}-") else ""
    if about.kind == "Pod":
        return False
    return about.name == name or bool(own and not (about.kind == "ReplicaSet" and "-" in own))


def _remedy(message: str) -> str:
    return next((f"; {told}" for pattern, told in _REMEDIES if pattern.search(message)), "")


def _short(message: str, limit: int = 240) -> str:
    line = " ".join(message.split()).rstrip(".")
    return line if len(line) <= limit else f"…{line[-limit:]}"
