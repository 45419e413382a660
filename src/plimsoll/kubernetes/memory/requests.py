"""A request as it is answered: where it leads, who asks, and what comes back."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from io import BufferedIOBase
from urllib.parse import unquote

from msgspec import Struct

from plimsoll.kubernetes.memory.kinds import ServedKind, ServedKinds
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.store import Key

ADMINISTRATORS = "system:masters"

OWN_AUDIENCE = "https://kubernetes.default.svc"
"""The audience of tokens for the API server itself."""


class User(Struct, frozen=True, kw_only=True):
    """Who asks. Members of `system:masters` may do everything. `audiences` are those that the user's token is for."""

    name: str
    groups: tuple[str, ...] = ("system:authenticated",)
    audiences: tuple[str, ...] = (OWN_AUDIENCE,)


_ACCOUNT = "system:serviceaccount:"


def account_of(user: str) -> tuple[str, str] | None:
    """The namespace and the name of the service account that a user is; `None` for every other user."""
    namespace, _, name = user.removeprefix(_ACCOUNT).partition(":")
    return (namespace, name) if user.startswith(_ACCOUNT) and name else None


def account_user(namespace: str, name: str) -> User:
    """A service account as the user that it is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(name=f"{_ACCOUNT}{namespace}:{name}", groups=groups)


class ApiPath(Struct, frozen=True, kw_only=True):
    """What a path names: a resource, one of its objects, or a part of one; `rest` is what a proxy passes on."""

    kind: ServedKind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def key(self) -> Key:
        """The object's key; without a name for the resource as a whole."""
        return Key(self.kind.group, self.kind.plural, self.namespace, self.name)


class Request(Struct, frozen=True, kw_only=True):
    """One request. `verb` is as in RBAC, empty for what is no resource, where `place` is `None`."""

    method: str
    path: str
    parameters: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    user: User
    verb: str = ""
    place: ApiPath | None = None

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be kept."""
        return self.parameters.get("dryRun") == "All"


class ApiResponse(Struct, frozen=True, kw_only=True):
    """One answer: a manifest, a text, a `stream` of pieces that ends when it likes, or a connection taken over."""

    code: int = 200
    body: Manifest | str | bytes = ""
    content_type: str = "application/json"
    stream: Iterator[bytes] | None = None
    upgrade: Callable[[BufferedIOBase, socket.socket], None] | None = None
    headers: Mapping[str, str] = {}


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def verb_of(method: str, place: ApiPath, parameters: Mapping[str, str]) -> str:
    """The verb of a request to a resource, as RBAC calls it; empty for a method that no resource has."""
    if method in ("GET", "HEAD"):
        if place.name:
            return "get"
        return "watch" if parameters.get("watch") in ("true", "1") else "list"
    if method == "DELETE":
        return "delete" if place.name else "deletecollection"
    return _VERBS.get(method, "")


def place_of(path: str, kinds: ServedKinds) -> ApiPath | None:
    """What a path names among served kinds; `None` for anything else."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[:1] == ["api"] and len(parts) > 2:
        api_version, parts = parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        api_version, parts = f"{parts[1]}/{parts[2]}", parts[3:]
    else:
        return None
    namespace = ""
    # Parts of a namespace itself have the same form as resources in it.
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    kind = kinds.by_plural(api_version, parts[0])
    if kind is None or (namespace and not kind.namespaced) or (len(parts) > 1 and kind.namespaced and not namespace):
        return None
    name, subresource, rest = (*(*parts[1:3], "", "")[:2], "/".join(parts[3:]))
    if subresource and subresource not in kind.subresources:
        return None
    if rest and subresource != "proxy":
        return None
    return ApiPath(kind=kind, namespace=namespace, name=name, subresource=subresource, rest=rest)
