"""Deployments: a ReplicaSet for each template, pods for each ReplicaSet, and old ones gone once new ones are ready."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import (
    condition,
    is_leaving,
    is_over,
    is_true,
    owned,
    owner_of,
    owner_reference,
    pod_of,
    with_conditions,
)
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError
from plimsoll.kubernetes.memory.values import copied

_HASH = "pod-template-hash"


class Deployments:
    """Makes the pods of Deployments."""

    kinds = frozenset({("apps", "deployments"), ("apps", "replicasets"), ("", "pods")})

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to a Deployment, or to that of a ReplicaSet or a pod."""
        hand = world.hand
        if found["kind"] == "Pod":
            owner = owner_of(hand, found, "ReplicaSet")
            whole = owner_of(hand, owner, "Deployment") if owner is not None else None
        elif found["kind"] == "ReplicaSet":
            whole = owner_of(hand, found, "Deployment")
        else:
            whole = None if gone else found
        if whole is not None and not is_leaving(whole):
            _see_to(hand, whole)


def _see_to(hand: Hand, whole: Manifest) -> None:
    wanted = whole["spec"]["replicas"]
    sets = owned(hand, "apps/v1", "ReplicaSet", whole)
    digest = hashlib.sha256(msgspec.json.encode(whole["spec"]["template"], order="deterministic")).hexdigest()[:10]
    newest = next((each for each in sets if each["metadata"]["labels"].get(_HASH) == digest), None)
    if newest is None:
        newest = hand.create(_replica_set(whole, digest))
    mine, refusal = _bring_to(hand, newest, wanted)
    ready = [each for each in mine if is_true(each, "Ready")]
    others: list[Manifest] = []
    for each in sets:
        if each["metadata"]["uid"] != newest["metadata"]["uid"]:
            others += _bring_to(hand, each, 0 if len(ready) >= wanted else each["spec"]["replicas"])[0]
    available = condition("Available", true=len(ready) >= wanted, reason="MinimumReplicasAvailable")
    progressing = condition("Progressing", reason="NewReplicaSetAvailable")
    serving = len(ready) + sum(is_true(each, "Ready") for each in others)
    hand.set_status(
        whole,
        {
            "observedGeneration": whole["metadata"]["generation"],
            "replicas": len(mine) + len(others),
            "updatedReplicas": len(mine),
            "readyReplicas": serving,
            "availableReplicas": serving,
            "unavailableReplicas": max(0, wanted - len(ready)),
            "conditions": with_conditions(whole, available, progressing, *_failure(whole, refusal)),
        },
    )
    if refusal is not None and not is_true(whole, "ReplicaFailure"):
        # An Event tells of the first one.
        raise refusal


def _failure(whole: Manifest, refusal: StatusError | None) -> Sequence[Manifest]:
    """The condition of a Deployment whose pods are not taken, with the words of the first refusal; false once they are.

    Each refusal names another pod: to tell of every one would be a change, which is looked at again, without an end.
    """
    told = next(
        (each for each in whole.get("status", {}).get("conditions", []) if each["type"] == "ReplicaFailure"), None
    )
    is_failing = told is not None and told["status"] == "True"
    if refusal is not None:
        message = told["message"] if told is not None and is_failing else refusal.message
        return [condition("ReplicaFailure", reason="FailedCreate", message=message)]
    return [condition("ReplicaFailure", true=False, reason="FailedCreate", message="")] if is_failing else []


def _bring_to(hand: Hand, replica_set: Manifest, wanted: int) -> tuple[Sequence[Manifest], StatusError | None]:
    """Make or delete pods of a ReplicaSet until there are so many; gives those that stay, and why one is refused."""
    if replica_set["spec"]["replicas"] != wanted:
        hand.change(replica_set, lambda live: live["spec"].update(replicas=wanted))
    pods = [each for each in owned(hand, "v1", "Pod", replica_set) if not is_leaving(each) and not is_over(each)]
    for each in pods[wanted:]:
        hand.delete(each)
    template, name = replica_set["spec"]["template"], replica_set["metadata"]["name"]
    found = pods[:wanted]
    try:
        while len(found) < wanted:
            found.append(hand.create(pod_of(template, name, replica_set)))
    except StatusError as refusal:
        if refusal.code != 403:
            raise
        return found, refusal
    return found, None


def _replica_set(whole: Manifest, digest: str) -> Manifest:
    template = copied(whole["spec"]["template"])
    labels = {**(template["metadata"].get("labels") or {}), _HASH: digest}
    template["metadata"]["labels"] = labels
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{whole['metadata']['name']}-{digest}",
            "namespace": whole["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(whole)],
        },
        "spec": {"replicas": whole["spec"]["replicas"], "selector": {"matchLabels": labels}, "template": template},
    }
