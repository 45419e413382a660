"""Discovery: the version, and which groups and kinds are served."""

from __future__ import annotations

from plimsoll.kubernetes.memory.kinds import ServedKind, ServedKinds
from plimsoll.kubernetes.memory.refusals import Manifest

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_REVIEWS = (
    "SelfSubjectAccessReview",
    "SelfSubjectRulesReview",
    "SubjectAccessReview",
    "LocalSubjectAccessReview",
    "TokenReview",
)
_PART_VERBS = {"log": ["get"], "exec": ["create", "get"], "portforward": ["create", "get"], "eviction": ["create"]}
_PART_VERBS |= {"attach": ["create", "get"], "token": ["create"]}


def document(kinds: ServedKinds, path: str, version: str) -> Manifest | None:
    """The document of a path; `None` for one that is no discovery, or of what is not served."""
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return _version(version)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(kinds, each) for each in _groups(kinds)]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in _groups(kinds):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, group)}
        case ["api", "v1"]:
            return _resources(kinds, "v1")
        case ["apis", group, name] if any(each.api_version == f"{group}/{name}" for each in kinds.all()):
            return _resources(kinds, f"{group}/{name}")
    return None


def _version(version: str) -> Manifest:
    major, minor = version.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.25.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _groups(kinds: ServedKinds) -> list[str]:
    return list(dict.fromkeys(each.group for each in kinds.all() if each.group))


def _group(kinds: ServedKinds, group: str) -> Manifest:
    versions = list(dict.fromkeys(each.version for each in kinds.all() if each.group == group))
    told = [{"groupVersion": f"{group}/{each}", "version": each} for each in versions]
    return {"name": group, "versions": told, "preferredVersion": told[0]}


def _resources(kinds: ServedKinds, api_version: str) -> Manifest:
    found = [entry for each in kinds.all() if each.api_version == api_version for entry in _entries(each)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": found}


def _entries(kind: ServedKind) -> list[Manifest]:
    common: Manifest = {"namespaced": kind.namespaced, "kind": kind.kind}
    verbs = ["create"] if kind.kind in _REVIEWS else _VERBS
    whole = {"name": kind.plural, "singularName": kind.kind.lower(), **common, "verbs": verbs}
    parts = [
        {
            "name": f"{kind.plural}/{part}",
            "singularName": "",
            **common,
            "verbs": _PART_VERBS.get(part, ["get", "patch", "update"]),
            **({"group": "autoscaling", "version": "v1", "kind": "Scale"} if part == "scale" else {}),
        }
        for part in sorted(kind.subresources)
    ]
    return [whole, *parts]
