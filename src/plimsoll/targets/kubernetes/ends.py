"""Waits for the end of what is being deleted, says what that waits for, and gives up at a limit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.targets.kubernetes.reasons.removal import held_by, namespace_waits
from plimsoll.waits import waiting_for

LOOK = 0.3
_REMAINING = re.compile(r"([a-z0-9-]+)\.([a-z0-9.-]*) has \d+ resource instances")
_NAMED = 3
"""So many kinds, and objects of each, are named: enough to begin with."""


def await_gone(left: Callable[[], Sequence[tuple[str, Manifest]]], namespace: str, limit: float) -> None:
    """Wait until nothing is left of objects, each with its kind. Raises TargetError that says what they wait for."""
    deadline = time.monotonic() + limit
    words = "the deleted objects to end"
    with waiting_for(lambda: words):
        while found := left():
            words = "; ".join(
                f"the end of {kind}/{each['metadata']['name']}, which waits for {held_by(each)}"
                for kind, each in found[:_NAMED]
            )
            if time.monotonic() > deadline:
                named = ", ".join(f"{kind}/{each['metadata']['name']}" for kind, each in found[:_NAMED])
                told = f"{named} did not end within {limit:g} s: still waiting for {words}"
                raise TargetError(
                    told, where=namespace, hint="have the finalizers lifted, and run `plimsoll down` again"
                )
            time.sleep(LOOK)


def await_namespace(api: Api, namespace: str, limit: float, *, leaving_only: bool = False) -> None:
    """Wait for the end of a namespace; with `leaving_only` of one that is ending already.

    Raises TargetError that names what the namespace waits for.
    """
    deadline = time.monotonic() + limit
    words = f"the end of namespace {namespace}"
    with waiting_for(lambda: words):
        while (found := api.find("v1", "Namespace", namespace)) is not None:
            if leaving_only and not found["metadata"].get("deletionTimestamp"):
                return
            if waits := describe_end(api, found):
                words = f"the end of namespace {namespace}: {waits}"
            if time.monotonic() > deadline:
                told = f"the namespace did not end within {limit:g} s"
                hint = "have the controllers that set these finalizers lift them, or name another with --namespace"
                raise TargetError(f"{told}: {waits}" if waits else told, where=namespace, hint=hint)
            time.sleep(LOOK)


def describe_end(api: Api, namespace: Manifest) -> str:
    """What a namespace that is being deleted waits for, with the objects that have finalizers where they are read."""
    waits = namespace_waits(namespace)
    if "finalizer" not in waits:
        return waits
    held = [f"{kind}/{each['metadata']['name']} waits for {held_by(each)}" for kind, each in _held(api, namespace)]
    return "; ".join([*held[:_NAMED]]) or waits


def _held(api: Api, namespace: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Objects of the kinds that remain which have finalizers. What may not be read is left out."""
    conditions = namespace.get("status", {}).get("conditions", [])
    messages = [str(each.get("message", "")) for each in conditions if each["type"] == "NamespaceContentRemaining"]
    for plural, group in _REMAINING.findall(" ".join(messages))[:_NAMED]:
        try:
            version = api.request("GET", f"/apis/{group}")["preferredVersion"]["version"] if group else "v1"
            root = f"/apis/{group}/{version}" if group else "/api/v1"
            place = f"{root}/namespaces/{namespace['metadata']['name']}/{plural}"
            for each in api.request("GET", place, parameters={"limit": "50"})["items"]:
                if each["metadata"].get("finalizers"):
                    yield plural, each
        except (ApiError, KeyError):
            continue
