"""Why a container does not start: its image, its configuration, or the node's runtime."""

from __future__ import annotations

import re

from plimsoll.kubernetes.objects import Object
from plimsoll.targets.kubernetes.reasons.cause import AT_ONCE, PULL_LIMIT, STUCK_LIMIT, Cause

MAIN = ("main", "node", "server")
"""Names of the containers that plimsoll asks for; others were put beside them by a webhook or an operator."""
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"})
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
_MISSING = re.compile(r'(secret|configmap) "([^"]+)" not found')
_UNPULLED: tuple[tuple[re.Pattern[str], str, bool], ...] = (
    (
        re.compile(r"unauthorized|authorization failed|authentication required|denied|403 Forbidden|401", re.I),
        "its registry does not let the nodes in; give the namespace a pull secret",
        True,
    ),
    (re.compile(r"not found|manifest unknown|does not exist", re.I), "its registry does not have it; correct it", True),
    (re.compile(r"no such host|lookup .* on", re.I), "the nodes do not find its registry by name; correct it", False),
    (
        re.compile(r"x509|certificate|tls:", re.I),
        "the nodes do not trust its registry's certificate; give them its authority",
        False,
    ),
    (
        re.compile(r"refused|timeout|deadline|unreachable|reset|EOF|50[0234]", re.I),
        "its registry does not answer; have it mended",
        False,
    ),
    (re.compile(r"429|too many requests", re.I), "its registry has had too many requests; wait, or log in", False),
    (
        re.compile(r"no match for platform|exec format", re.I),
        "it is not made for the node's processor; make it for that one",
        True,
    ),
    (re.compile(r"no space left", re.I), "the node has no room for it; have some made", False),
)


def main_of(pod: Object) -> str:
    """The name of the container that does a pod's work."""
    told = pod["spec"].get("containers") or pod.get("status", {}).get("containerStatuses") or []
    names = [str(each["name"]) for each in told]
    return next((name for name in names if name in MAIN), names[0] if names else "")


def waiting(each: Object, pod: str) -> Cause | None:
    """Why a container of a pod is kept waiting, from its status; None when it only is being started."""
    state = each.get("state", {}).get("waiting") or {}
    reason, message = str(state.get("reason", "")), " ".join(str(state.get("message", "")).split())
    container, image = str(each.get("name", "")), str(each.get("image", ""))
    whose = "the container" if container in MAIN else f"the container {container}"
    if reason in _STARTING:
        return None
    if reason in _PULLING:
        return _unpulled(image, message or reason, pod)
    if reason == "InvalidImageName":
        return _settled("image", f"the image's name is not valid: {message or image}; correct it")
    if reason == "ErrImageNeverPull":
        return _settled("image", f"the image is not on the node, and may not be pulled: {message or image}")
    if reason in ("CreateContainerConfigError", "SignatureValidationFailed"):
        remedy = f"; make the {found[1]} {found[2]}" if (found := _MISSING.search(message)) else ""
        return _settled("config", f"{whose} cannot be configured: {message or reason}{remedy}")
    if reason in ("CreateContainerError", "RunContainerError", "PostStartHookError"):
        text = f"{whose} cannot be made: {message or reason}"
        return Cause(kind="container", text=text, patience=AT_ONCE)
    if reason == "CrashLoopBackOff":
        last = each.get("lastState", {}).get("terminated") or {}
        ended = f"ended with status {last['exitCode']}" if "exitCode" in last else "ended"
        times = each.get("restartCount", 0)
        return Cause(kind="crash", text=f"{whose} {ended}, {times} times, and is started again")
    return Cause(kind="container", text=f"{whose} waits: {reason}: {message}".rstrip(": "), patience=STUCK_LIMIT)


def _settled(kind: str, text: str) -> Cause:
    return Cause(kind=kind, text=text, patience=AT_ONCE, lasting=True)


def _unpulled(image: str, message: str, pod: str) -> Cause:
    why, lasting = next(((told, known) for pattern, told, known in _UNPULLED if pattern.search(message)), ("", False))
    told = f"{why} ({_tail(message)})" if why else _tail(message)
    text = f"the image {image} cannot be pulled: {told}"
    return Cause(kind="image", text=text, patience=PULL_LIMIT, lasting=lasting)


def _tail(message: str) -> str:
    """What a runtime says last, which is the cause; before it stands what it was doing."""
    words = message.removeprefix("Back-off pulling image ")
    return words if len(words) <= 160 else f"…{words[-160:]}"
