"""Who has set which fields of an object, as its metadata.managedFields says (KEP-555). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from plimsoll.kubernetes.api import FIELD_MANAGER, ApiError, Manifest
from plimsoll.kubernetes.objects import Object

_CONFLICT = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')
_CLUSTERS_OWN = ("kube-controller-manager", "kube-apiserver", "kube-scheduler", "kubelet")
"""Managers that are Kubernetes itself: what they set is filled in, and not somebody's wish."""
_APPLYING = ("argocd", "helm", "kubectl-client-side-apply", "fleet", "pulumi", "Terraform")
"""Programs that apply manifests without saying so: theirs are changes like those that are made once."""
_NOT_WISHED = frozenset({"metadata", "status", "kind", "apiVersion"})


def managers(found: Object) -> list[str]:
    """Names of those who have set fields of an object, but for its status and its scale."""
    entries = found["metadata"].get("managedFields") or []
    return list(dict.fromkeys(each["manager"] for each in entries if each.get("manager") and not _part(each)))


def others(found: Object) -> list[str]:
    """The managers that are neither we nor the cluster itself."""
    return [name for name in managers(found) if not _is_known(name)]


def sharers(found: Object) -> list[str]:
    """The others who apply an object again and again, and have not only changed or labelled it once."""
    entries = [each for each in found["metadata"].get("managedFields") or [] if not _part(each)]
    saying = {
        each.get("manager", "")
        for each in entries
        if set(_fields(each)) - _NOT_WISHED
        and (each.get("operation") == "Apply" or each.get("manager", "").startswith(_APPLYING))
    }
    return [name for name in others(found) if name in saying]


def conflicts(error: ApiError) -> dict[str, list[str]] | None:
    """The fields of a refused apply by who owns them; None when it was refused for another reason."""
    told = [(match[1], field) for field, words in error.causes if (match := _CONFLICT.search(words))]
    if error.status != 409 or not told:
        return None
    found: dict[str, list[str]] = {}
    for manager, field in told:
        found.setdefault(manager, []).append(field)
    return found


def added(found: Object, wanted: Manifest) -> dict[str, list[str]]:
    """Fields beside those of `wanted` by whoever has set them: an apply of ours leaves them as they are."""
    told: dict[str, list[str]] = {}
    for each in found["metadata"].get("managedFields") or []:
        name = each.get("manager", "")
        if not name or _is_known(name) or _part(each):
            continue
        owned = {f"f:{name}": below for name, below in _fields(each).items() if name not in _NOT_WISHED}
        beside = list(_beside(owned, wanted, ""))
        if beside:
            told[name] = beside
    return told


def _fields(entry: Object) -> dict[str, Any]:
    """The fields that an entry has at the top, by their names, with what it has below them."""
    return {key[2:]: below for key, below in (entry.get("fieldsV1") or {}).items() if key.startswith("f:")}


def _part(entry: Object) -> str:
    return str(entry.get("subresource") or "")


def _is_known(manager: str) -> bool:
    return manager == FIELD_MANAGER or manager.startswith(_CLUSTERS_OWN)


def _beside(owned: Object, wanted: Any, path: str) -> Iterator[str]:
    for key, below in owned.items():
        kind, _, name = key.partition(":")
        if kind == "f":
            there, part = f"{path}.{name}", wanted.get(name) if isinstance(wanted, dict) else None
        elif kind == "k":
            keys = json.loads(name)
            words = ",".join(f"{field}={value}" for field, value in keys.items())
            there, part = f"{path}[{words}]", _item(wanted, keys)
        else:
            # The thing itself, and the items of sets: these are compared as values.
            continue
        if part is None:
            yield there
        elif isinstance(part, (dict, list)):
            yield from _beside(below, part, there)


def _item(wanted: Any, keys: Object) -> Any:
    """The item of a list that has these keys; one that leaves a key out means its default."""
    items: Iterable[Any] = wanted if isinstance(wanted, list) else ()
    fitting = (each for each in items if all(each.get(key, value) == value for key, value in keys.items()))
    return next(fitting, None)
