"""Who owns which field: metadata.managedFields of an object, read, changed and written back (KEP-555)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from msgspec import Struct

from plimsoll.kubernetes.memory.field_sets import Path, changed, decoded, dotted, encoded, leaves
from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Cause, Manifest, StatusError
from plimsoll.kubernetes.memory.values import now

APPLY, UPDATE = "Apply", "Update"


class Manager(Struct, frozen=True, kw_only=True):
    """One who changes objects: the name, how (Apply or Update), and the subresource, empty for the object itself."""

    name: str
    operation: str
    subresource: str = ""


class Owned(Struct, frozen=True, kw_only=True):
    """What a manager owns, under the version in which it was written last."""

    api_version: str
    time: str
    paths: frozenset[Path]


Owners = dict[Manager, Owned]


def read(manifest: Manifest) -> Owners:
    """The owners of an object's fields."""
    found: Owners = {}
    for each in manifest["metadata"].get("managedFields") or []:
        if "manager" not in each:
            continue
        manager = Manager(name=each["manager"], operation=each["operation"], subresource=each.get("subresource", ""))
        paths = decoded(each.get("fieldsV1") or {})
        found[manager] = Owned(api_version=each["apiVersion"], time=each.get("time", now()), paths=paths)
    return found


def write(manifest: Manifest, owners: Owners) -> None:
    """Put the owners into an object; those who own nothing are left out."""
    entries = [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": owned.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encoded(owned.paths),
            **({"subresource": manager.subresource} if manager.subresource else {}),
        }
        for manager, owned in sorted(owners.items(), key=lambda each: (each[1].time, each[0].operation == UPDATE))
        if owned.paths
    ]
    manifest["metadata"]["managedFields"] = entries
    if not entries:
        del manifest["metadata"]["managedFields"]


def updated(kind: ServedKind, before: Manifest | None, after: Manifest, owners: Owners, manager: Manager) -> Owners:
    """The owners after a change that asks nobody (create, update, patch): what it changes is the manager's alone."""
    old = leaves(kind, before) if before is not None else {}
    new = leaves(kind, after)
    mine = changed(old, new)
    found = {
        other: _with(owned, frozenset(path for path in owned.paths - mine if path in new))
        for other, owned in owners.items()
    }
    had = found[manager].paths if manager in found else frozenset()
    if mine or had != (owners[manager].paths if manager in owners else frozenset()):
        found[manager] = Owned(api_version=kind.api_version, time=now(), paths=had | mine)
    return found


def _with(owned: Owned, paths: frozenset[Path]) -> Owned:
    return Owned(api_version=owned.api_version, time=owned.time, paths=paths)


def clashes(changes: frozenset[Path], owners: Owners, manager: Manager) -> Mapping[Manager, frozenset[Path]]:
    """Changes to what others own."""
    found = {other: owned.paths & changes for other, owned in owners.items() if other != manager}
    return {other: paths for other, paths in found.items() if paths}


def refused(found: Mapping[Manager, frozenset[Path]], owners: Owners) -> StatusError:
    """The 409 of an apply that changes what others own."""
    causes = [
        Cause(
            reason="FieldManagerConflict",
            message=f"conflict with {_told(manager, owners[manager])}",
            field=dotted(path),
        )
        for manager, paths in found.items()
        for path in sorted(paths)
    ]
    count = f"{len(causes)} conflict{'s' if len(causes) != 1 else ''}"
    words = "\n".join(f"- {each.field}" for each in causes)
    if len(causes) == 1:
        told = f"Apply failed with {count}: {causes[0].message}: {causes[0].field}"
    else:
        told = f"Apply failed with {count}: {causes[0].message}:\n{words}"
    return StatusError(409, "Conflict", told, causes=causes)


def _told(manager: Manager, owned: Owned) -> str:
    part = f" with subresource {json.dumps(manager.subresource)}" if manager.subresource else ""
    how = f" using {owned.api_version}" if manager.operation == UPDATE else ""
    return f"{json.dumps(manager.name)}{part}{how}"
