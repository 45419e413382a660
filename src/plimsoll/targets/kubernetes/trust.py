"""The public keys by which an application's pods verify models.

Whoever runs the application adds the keys that they trust, and takes none away: a server that moves to another node
verifies its model anew, whoever has run last. A key is taken away by hand, by its entry of the ConfigMap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.signing.key_files import CONDITIONS
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.models import trust, trust_name
from plimsoll.targets.kubernetes.ownership import is_of, refusal

WHOSE = "plimsoll.dev/key-"
"""Begins the annotation that says who has added a key, and when."""
_ID = 40
"""Characters of a key's id in its annotation, whose name has 63 at most."""
_TRIES = 10
"""Others add their keys at the same moment: each of them is in the way once."""


def trust_manifest(application: str, namespace: str) -> Manifest:
    """The keys whose signatures count for the caller: their own, and those that they have been given."""
    return trust(application, namespace, names.of_application(application), KeyRing.default().files())


def unite(api: Api, application: str, namespace: str, who: str) -> list[str]:
    """Add the caller's keys to those that are there; gives the ids of those that were not.

    Raises TargetError when one of them is there with another content.
    """
    ours = trust_manifest(application, namespace)
    place = ("v1", "ConfigMap", trust_name(application), namespace)
    for _ in range(_TRIES):
        found = api.find(*place)
        if found is not None and not is_of(application, found):
            raise refusal(application, ours, found, namespace)
        fresh = _missing(found, ours)
        if not fresh:
            return []
        try:
            if found is None:
                api.create({**ours, "metadata": {**ours["metadata"], "annotations": _whose(fresh, who)}})
            else:
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                api.patch(ours, {"metadata": {**version, "annotations": _whose(fresh, who)}, "data": fresh})
        except ApiError as error:
            # Somebody has made, changed or deleted it since it was read.
            if error.status not in (404, 409) or not _may_come_again(api, error, namespace):
                raise
        else:
            return [name.removesuffix(".json") for name in fresh]
    raise TargetError(
        f"the trusted keys were changed by others {_TRIES} times while ours were added",
        where=_where(ours),
        hint="run again",
    )


def _missing(found: Manifest | None, ours: Manifest) -> dict[str, str]:
    """What of our keys is not there yet, or is not known there to be retired or revoked.

    Raises TargetError for one that is there with another content.
    """
    if found is None:
        return dict(ours["data"])
    known: Mapping[str, str] = found.get("data") or {}
    for name, text in ours["data"].items():
        if name in known and _key(known[name]) != _key(text):
            whose = (found["metadata"].get("annotations") or {}).get(_annotation(name))
            raise TargetError(
                f"the key {name.removesuffix('.json')[:16]} is there with another content"
                f"{f', from {whose}' if whose else ''}",
                where=_where(ours),
                hint=f"find out which of the two is genuine; if it is yours, remove the entry {name} there",
            )
    return {
        name: told
        for name, text in ours["data"].items()
        if (told := _told(known[name], text) if name in known else text)
    }


def _told(known: str, ours: str) -> str:
    """The file of a key that is there, with what we know to have become of the key; empty when that is known there.

    Only what takes trust away is added: what somebody has taken away, nobody gives back by running.
    """
    ends = ("retired", "revoked")
    before, after = _conditions(known), _conditions(ours)
    new = {each: after[each] for each in ends if each in after and each not in before}
    if not new:
        return ""
    try:
        return json.dumps({**json.loads(known), CONDITIONS: {**before, **new}}, separators=(",", ":"))
    except (ValueError, TypeError):
        return ours


def _conditions(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)[CONDITIONS]
        return dict(found)
    except (ValueError, KeyError, TypeError):
        # A key in PEM has no place for conditions; one without any was written before there were some.
        return {}


def _key(text: str) -> object:
    """The key itself: the same one may have been written in several ways."""
    try:
        return json.loads(text)["keyval"]
    except (ValueError, KeyError, TypeError):
        return text


def _whose(keys: Mapping[str, str], who: str) -> dict[str, str]:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {_annotation(name): f"{who}, {now}" for name in keys}


def _annotation(name: str) -> str:
    return WHOSE + name.removesuffix(".json")[:_ID]


def _may_come_again(api: Api, error: ApiError, namespace: str) -> bool:
    """Whether a conflict is about the ConfigMap, and not about a namespace that is not there."""
    return error.status == 409 or api.find("v1", "Namespace", namespace) is not None


def _where(ours: Manifest) -> str:
    return f"ConfigMap {ours['metadata']['name']} in namespace {ours['metadata']['namespace']}"
