"""The kinds that a server serves: a table of those that every cluster has, those of add-ons, and those added later."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from plimsoll.kubernetes.memory.kind_table import ADDONS as _ADDONS
from plimsoll.kubernetes.memory.kind_table import BUILT_IN as _BUILT_IN
from plimsoll.kubernetes.memory.refusals import Manifest


class ServedKind(Struct, frozen=True, kw_only=True):
    """One served kind of one version. `naming` is the rule for names: subdomain, label, label1035 or path.

    `generation` says whether metadata.generation counts its changes. `custom` is a kind of a CustomResourceDefinition,
    whose `schema` may be empty.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    subresources: frozenset[str] = frozenset()
    naming: str = "subdomain"
    generation: bool = False
    custom: bool = False
    schema: Manifest = {}

    @property
    def api_version(self) -> str:
        """Group and version as objects carry them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> tuple[str, str]:
        """What is the same in every version: the group and the plural name."""
        return self.group, self.plural

    @property
    def has_status(self) -> bool:
        """Whether status is changed through its own subresource alone."""
        return "status" in self.subresources


def _read(table: str, *, custom: bool) -> tuple[ServedKind, ...]:
    """Rows of `version Kind plural N|C naming|- subresources|-`; a kind marked with + counts generations."""
    kinds = []
    for row in filter(None, map(str.strip, table.splitlines())):
        api_version, name, plural, scope, naming, parts = row.split()
        group, _, version = api_version.rpartition("/")
        kinds.append(
            ServedKind(
                group=group,
                version=version,
                kind=name.rstrip("+"),
                plural=plural,
                namespaced=scope == "N",
                subresources=frozenset(() if parts == "-" else parts.split(",")),
                naming="subdomain" if naming == "-" else naming,
                generation=custom or name.endswith("+"),
                custom=custom,
            )
        )
    return tuple(kinds)


BUILT_IN = _read(_BUILT_IN, custom=False)
"""Kinds of every cluster, as far as Plimsoll or its tests meet them."""
ADDONS: Mapping[str, tuple[ServedKind, ...]] = MappingProxyType(
    {name: _read(table, custom=True) for name, table in _ADDONS.items()}
)
"""Kinds of what is often installed, by a short name."""


class ServedKinds:
    """What is served now. Can be used from several threads."""

    def __init__(self, kinds: Iterable[ServedKind]) -> None:
        self._kinds = {(each.api_version, each.plural): each for each in kinds}
        self._lock = threading.Lock()

    def all(self) -> tuple[ServedKind, ...]:
        """Every served kind, in the order in which they were added."""
        with self._lock:
            return tuple(self._kinds.values())

    def add(self, *kinds: ServedKind) -> None:
        """Serve more kinds."""
        with self._lock:
            self._kinds.update({(each.api_version, each.plural): each for each in kinds})

    def remove(self, group: str, plural: str) -> None:
        """Serve a resource no longer."""
        with self._lock:
            self._kinds = {key: each for key, each in self._kinds.items() if each.resource != (group, plural)}

    def by_plural(self, api_version: str, plural: str) -> ServedKind | None:
        """The kind of a URL."""
        with self._lock:
            return self._kinds.get((api_version, plural))

    def by_kind(self, api_version: str, kind: str) -> ServedKind | None:
        """The kind of a manifest."""
        return next((each for each in self.all() if each.api_version == api_version and each.kind == kind), None)

    def preferred(self, group: str, plural: str) -> ServedKind | None:
        """Any version of a resource: the first one added."""
        return next((each for each in self.all() if each.resource == (group, plural)), None)
