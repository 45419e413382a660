"""Everything that lies in a namespace, of every kind that the cluster serves, known to us or not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from plimsoll.kubernetes.api import MANIFESTS, Api, ApiError, Manifest

_AT_ONCE = 8
_PASSING = frozenset({("", "events"), ("events.k8s.io", "events")})
"""What is said of objects is none itself."""
_COMPUTED = "metrics.k8s.io"
"""What the groups of this name end with gives figures, and keeps nothing."""
_UNREADABLE = frozenset({401, 403, 500, 502, 503, 504})


class Content(Struct, frozen=True, kw_only=True):
    """Objects with apiVersion and kind. `hidden` names what may not be listed, or whose server does not answer."""

    found: tuple[Manifest, ...] = ()
    hidden: tuple[str, ...] = ()


class _Listable(Struct, frozen=True, kw_only=True):
    api_version: str
    kind: str
    plural: str


def content(api: Api, namespace: str) -> Content:
    """All that lies in a namespace and could be deleted there. Raises ApiError when the cluster does not answer."""
    found: list[Manifest] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        kinds, hidden = _kinds(api, pool)
        for kind, items in zip(kinds, pool.map(lambda kind: _items(api, kind, namespace), kinds), strict=True):
            if items is None:
                hidden.append(kind.plural)
            else:
                found += items
    return Content(found=tuple(found), hidden=tuple(sorted(hidden)))


def _kinds(api: Api, pool: ThreadPoolExecutor) -> tuple[list[_Listable], list[str]]:
    """Every kind once, in the version that its group prefers where it has the kind."""
    groups = api.request("GET", "/apis")["groups"]
    versions = ["v1", *(version for group in groups for version in _versions(group))]
    seen: set[tuple[str, str]] = set(_PASSING)
    kinds, hidden = [], []
    for version, resources in zip(versions, pool.map(lambda version: _resources(api, version), versions), strict=True):
        if resources is None:
            hidden.append(version)
            continue
        group = version.rpartition("/")[0]
        for each in resources:
            place = (group, each["name"])
            if place in seen or not _is_kept(each):
                continue
            seen.add(place)
            kinds.append(_Listable(api_version=version, kind=each["kind"], plural=each["name"]))
    return kinds, hidden


def _versions(group: Manifest) -> Iterator[str]:
    if group["name"].endswith(_COMPUTED):
        return
    preferred = group.get("preferredVersion", {}).get("groupVersion")
    all_versions = [each["groupVersion"] for each in group["versions"]]
    yield from sorted(all_versions, key=lambda version: version != preferred)


def _resources(api: Api, version: str) -> list[Manifest] | None:
    try:
        found: list[Manifest] = api.request("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")[
            "resources"
        ]
    except ApiError as error:
        if error.status == 404:
            return []
        if error.status not in _UNREADABLE:
            raise
        return None
    return found


def _is_kept(resource: Manifest) -> bool:
    """Whether objects of a kind lie in namespaces, and are no mere view of others."""
    return bool(resource["namespaced"] and "/" not in resource["name"] and {"list", "delete"} <= set(resource["verbs"]))


def _items(api: Api, kind: _Listable, namespace: str) -> list[Manifest] | None:
    try:
        pages = api.pages(kind.api_version, kind.kind, MANIFESTS, namespace)
        return [{**each, "apiVersion": kind.api_version, "kind": kind.kind} for page in pages for each in page]
    except ApiError as error:
        if error.status in (404, 405):
            return []
        if error.status not in _UNREADABLE:
            raise
        return None
