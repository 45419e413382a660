"""Whose an object of the cluster is, and what is said when it is somebody else's. Pure.

An application's objects carry its label, and those of a service or of a step that one's label too. Names alone say
nothing: application `x-b` with service `c` and application `x` with service `b-c` would call theirs alike.
"""

from __future__ import annotations

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.field_managers import managers
from plimsoll.kubernetes.objects import Object
from plimsoll.targets.kubernetes import names

_RELEASE = "meta.helm.sh/release-name"
_BY_LABEL = ("app.kubernetes.io/managed-by", "argocd.argoproj.io/instance", "app.kubernetes.io/instance")


def is_of(application: str, found: Object) -> bool:
    """Whether an object is an application's."""
    return bool(_labels(found).get(names.APPLICATION) == application)


def is_same(application: str, wanted: Manifest, found: Object) -> bool:
    """Whether what stands under a name is what is wanted under it: the application's, and of the same part of it."""
    mine, theirs = _labels(wanted), _labels(found)
    parts = (names.SERVICE, names.STEP)
    return is_of(application, found) and all(
        mine[part] == theirs[part] for part in parts if part in mine and part in theirs
    )


def refusal(application: str, wanted: Manifest, found: Object, namespace: str) -> TargetError:
    """That a name is taken, by whom, and what to do about it."""
    service = _labels(wanted).get(names.SERVICE)
    ours = f"the service {service} of {application}" if service else f"the application {application}"
    ways = ["rename the service in the file" if service else "rename the application in the file"]
    if not is_of(application, found):
        ways.append("give another namespace with --namespace")
        ways.append("have it removed by whoever has made it")
    return TargetError(
        f"{wanted['kind']} {wanted['metadata']['name']}, which {ours} would have, is somebody else's: {owner(found)}",
        where=f"namespace {namespace}",
        hint=f"{', '.join(ways[:-1])} or {ways[-1]}" if len(ways) > 1 else ways[0],
        lasting=True,
    )


def owner(found: Object) -> str:
    """Whose an object is, as far as it says."""
    labels, metadata = _labels(found), found["metadata"]
    if application := labels.get(names.APPLICATION):
        part = labels.get(names.SERVICE) or labels.get(names.STEP)
        return f"it belongs to {f'{part} of ' if part else ''}the application {application}"
    told = [f"{each.get('kind', '')} {each.get('name', '')}" for each in metadata.get("ownerReferences") or []]
    if release := (metadata.get("annotations") or {}).get(_RELEASE):
        told.append(f"the Helm release {release}")
    told += [f"{labels[each]} ({each})" for each in _BY_LABEL if labels.get(each)]
    belongs = f"it belongs to {', '.join(told)}" if told else "it has no label of an application"
    writers = managers(found)
    return f"{belongs}; set by {', '.join(writers)}" if writers else belongs


def _labels(found: Object) -> Object:
    return found["metadata"].get("labels") or {}
