"""What controllers have in common: objects that they own, and conditions that they set."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.values import copied, now


def owner_reference(owner: Manifest) -> Manifest:
    """The reference of an object that a controller makes for another."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned(hand: Hand, api_version: str, kind: str, owner: Manifest) -> list[Manifest]:
    """Objects of a kind that an object owns, in the order of their names."""
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    return [each for each in hand.list(api_version, kind, namespace) if controller_uid(each) == uid]


def controller_uid(manifest: Manifest) -> str:
    """The uid of the controller's object; empty without one."""
    found = manifest["metadata"].get("ownerReferences") or []
    return next((str(each["uid"]) for each in found if each.get("controller")), "")


def owner_of(hand: Hand, manifest: Manifest, kind: str) -> Manifest | None:
    """The object of a kind that owns another, when it is there."""
    for each in manifest["metadata"].get("ownerReferences") or []:
        if each["kind"] == kind and each.get("controller"):
            found = hand.find(each["apiVersion"], kind, each["name"], manifest["metadata"]["namespace"])
            return found if found is not None and found["metadata"]["uid"] == each["uid"] else None
    return None


def condition(kind: str, *, true: bool = True, reason: str = "", message: str = "") -> Manifest:
    """A condition as of now."""
    return {
        "type": kind,
        "status": "True" if true else "False",
        "reason": reason or kind,
        "message": message,
        "lastTransitionTime": now(),
    }


def with_conditions(found: Manifest, *fresh: Manifest) -> list[Manifest]:
    """The conditions of an object with these in them; one that says the same as before keeps its time."""
    conditions = {each["type"]: each for each in (found.get("status") or {}).get("conditions") or []}
    for each in fresh:
        old = conditions.get(each["type"], {})
        same = all(old.get(field) == each[field] for field in ("status", "reason", "message"))
        conditions[each["type"]] = {**old, **({} if same else each)}
    return list(conditions.values())


def is_true(found: Manifest, kind: str) -> bool:
    """Whether a condition of an object is true."""
    conditions: Sequence[Manifest] = (found.get("status") or {}).get("conditions") or []
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def pod_of(template: Manifest, name: str, owner: Manifest, **labels: str) -> Manifest:
    """A pod of a template, owned by an object."""
    metadata = copied(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    metadata |= {
        "generateName": f"{name}-",
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [owner_reference(owner)],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copied(template["spec"])}


def is_over(pod: Manifest) -> bool:
    """Whether a pod has come to its end."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_leaving(manifest: Manifest) -> bool:
    """Whether an object's end was asked for."""
    return bool(manifest["metadata"].get("deletionTimestamp"))
