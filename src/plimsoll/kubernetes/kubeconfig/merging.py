"""Several kubeconfigs as one. Pure.

Source: client-go, tools/clientcmd/loader.go. The first file that has a name gives all of its entry; nothing is taken
from the same name in another. The first file that says a current context decides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from plimsoll.documents.places import Keys
from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.document import Document, value_at
from plimsoll.kubernetes.kubeconfig.fields import Cluster, Context, User

Value = TypeVar("Value")


class Entry(Struct, Generic[Value], frozen=True, kw_only=True):
    """A cluster, a user or a context, with the file and the place where it stands."""

    name: str
    value: Value
    document: Document
    keys: Keys

    def where(self, *keys: str | int) -> str:
        """file:line:column of a field of it, or of itself where it lacks the field."""
        return self.document.places.where(*self.keys, *keys)

    def raw(self, *keys: str | int) -> object:
        """What is written there."""
        return value_at(self.document.raw, (*self.keys, *keys))


class Merged(Struct, frozen=True, kw_only=True):
    """All kubeconfigs together."""

    clusters: Mapping[str, Entry[Cluster]]
    users: Mapping[str, Entry[User]]
    contexts: Mapping[str, Entry[Context]]
    current: str


def merge(documents: Sequence[Document]) -> Merged:
    """Unite kubeconfigs, the first first. Raises FileError for a name that one file has twice."""
    clusters: dict[str, Entry[Cluster]] = {}
    users: dict[str, Entry[User]] = {}
    contexts: dict[str, Entry[Context]] = {}
    for document in documents:
        content = document.content
        named_clusters = [(each.name, each.cluster) if each else None for each in content.clusters or ()]
        named_users = [(each.name, each.user) if each else None for each in content.users or ()]
        named_contexts = [(each.name, each.context) if each else None for each in content.contexts or ()]
        _take(clusters, document, "cluster", named_clusters, Cluster())
        _take(users, document, "user", named_users, User())
        _take(contexts, document, "context", named_contexts, Context())
    current = next((found for each in documents if (found := each.content.current_context)), "")
    return Merged(clusters=clusters, users=users, contexts=contexts, current=current)


def _take(
    into: dict[str, Entry[Value]],
    document: Document,
    kind: str,
    listed: Iterable[tuple[str | None, Value | None] | None],
    empty: Value,
) -> None:
    seen: dict[str, Entry[Value]] = {}
    for number, each in enumerate(listed):
        name, value = each or (None, None)
        keys = (f"{kind}s", number)
        entry = Entry(name=name or "", value=empty if value is None else value, document=document, keys=(*keys, kind))
        if first := seen.get(entry.name):
            earlier = document.places.where(*first.keys[:2])
            told = f"the {kind} '{entry.name}' is there twice; the first is at {earlier}"
            raise FileError(told, where=document.places.where(*keys), hint="rename or remove one of the two")
        seen[entry.name] = entry
    for name, entry in seen.items():
        into.setdefault(name, entry)
