"""What the pages of models show: versions, the gates of each, and what it was made from."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import msgspec

from plimsoll.application.scalars import bound_holds
from plimsoll.errors import PlimsollError
from plimsoll.registry.comparison import compare_versions
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.cards import read_card
from plimsoll.targets.models import model_registry
from plimsoll.ui.run_pages import matches

FIGURES = 3


class ModelPages:
    """The models of one application. Every method may be called from any thread."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._stamp: object = None
        self._versions: tuple[ModelVersion, ...] = ()
        self._tags: Mapping[str, Sequence[str]] = {}

    def page(self, *, text: str, offset: int, limit: int) -> dict[str, object]:
        """A page of all versions, the newest first. Raises PlimsollError when the registry cannot be read."""
        versions, tags = self._all()
        found = [each for each in versions if matches(f"{each.reference} {' '.join(tags.get(each.digest, ()))}", text)]
        found.sort(key=lambda each: (each.created, each.version), reverse=True)
        return {"total": len(found), "models": [_row(each, tags) for each in found[offset : offset + limit]]}

    def version(self, reference: str) -> dict[str, object]:
        """One version with its gates and its lineage. Raises PlimsollError when there is none."""
        registry = model_registry(self._state)
        version, (versions, tags) = registry.find(reference), self._all()
        lineage = version.lineage
        others = [each for each in versions if each.name == version.name]
        return {
            **_row(version, tags),
            "author": version.author,
            "command": lineage.command,
            "environment": lineage.environment,
            "run": self._known_run(lineage.run),
            "step": lineage.step,
            "base": f"{lineage.base.reference}: {lineage.base.about}" if lineage.base else "",
            "data": lineage.data,
            "code": lineage.code,
            "files": {name: [entry.size, entry.digest] for name, entry in version.files.items()},
            "gates": [_gate(version, name, bound) for name, bound in version.accept.items()],
            "metrics": dict(list(version.metrics.items())[:500]),
            "count": len(version.metrics),
            "refusals": version.refusals,
            "versions": [each.version for each in others][-200:],
            "card": _card(registry, version, self._state),
        }

    def comparison(self, first: str, second: str) -> dict[str, object]:
        """Two versions beside each other. Raises PlimsollError when one is not there."""
        registry = model_registry(self._state)
        compared = compare_versions(registry.find(first), registry.find(second))
        return {
            "first": compared.first,
            "second": compared.second,
            "metrics": [[name, *pair] for name, pair in list(compared.metrics.items())[:500]],
            "changed": compared.changed,
        }

    def _all(self) -> tuple[tuple[ModelVersion, ...], Mapping[str, Sequence[str]]]:
        """All versions and tags, read again only when the index of the registry has changed."""
        try:
            found = (self._state.registry / "index.json").stat()
        except OSError:
            return (), {}
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        with self._lock:
            if stamp != self._stamp:
                registry = model_registry(self._state)
                self._versions, self._tags = registry.versions(), registry.tags()
                self._stamp = stamp
            return self._versions, self._tags

    def _known_run(self, run: str) -> str:
        """The run that trained a version, where it is still here; a version may come from elsewhere."""
        return run if self._state.has_run(run) else ""


def _card(registry: ModelRegistry, version: ModelVersion, state: StateDirectory) -> dict[str, object]:
    """The card of a version with the key that signed it, or why it cannot be read."""
    try:
        found = read_card(registry, version, state)
    except PlimsollError as error:
        return {"problem": error.on_one_line()}
    built: dict[str, object] = msgspec.to_builtins(found)
    return built


def _row(version: ModelVersion, tags: Mapping[str, Sequence[str]]) -> dict[str, object]:
    figures = [each for each in version.metrics.items() if not each[0].startswith("baseline_")]
    return {
        "reference": version.reference,
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "created": version.created.timestamp(),
        "accepted": version.accepted,
        "framework": version.framework,
        "tags": list(tags.get(version.digest, ())),
        "headline": figures[:FIGURES],
    }


def _gate(version: ModelVersion, name: str, bound: str) -> dict[str, object]:
    value = version.metrics.get(name)
    return {"name": name, "bound": bound, "value": value, "holds": value is not None and bound_holds(bound, value)}
