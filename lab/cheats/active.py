"""The changes of one cheat, recorded on disk before the cheat makes them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from lab import background, layout, machines
from lab.documents import Manifest
from lab.errors import LabError
from lab.files import write
from lab.kubectl import apply, get, kubectl, wait_for_rollout
from lab.network import netns

LABEL = "plimsoll.dev/cheat"
_FOLDER = layout.FOLDER / "cheats"
_WORKLOADS = frozenset({"deployment", "daemonset", "statefulset"})
_ROLLOUT_LIMIT = 120.0


def active_cheats() -> list[str]:
    """The names of the cheats that are switched on, completely or in part."""
    return sorted(path.name for path in _FOLDER.glob("*")) if _FOLDER.is_dir() else []


class ActiveCheat:
    """A cheat that is switched on: its changes to the lab, and the record that undoes them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = _FOLDER / name

    def has_started(self) -> bool:
        """Whether the cheat may have changed anything."""
        return self.folder.is_dir()

    def create(self, *manifests: Manifest) -> None:
        """Creates objects, which `undo` deletes."""
        for each in manifests:
            metadata = each["metadata"]
            metadata["labels"] = {**metadata.get("labels", {}), LABEL: self.name}
            kind = (
                each["kind"] if "/" not in each["apiVersion"] else f"{each['kind']}.{each['apiVersion'].split('/')[0]}"
            )
            self._append("made", [kind, metadata["name"], metadata.get("namespace", "")])
            apply(json.dumps(each))

    def patch(self, kind: str, name: str, patch: Any, namespace: str = "", how: str = "merge") -> None:
        """Saves an object and patches it. `undo` restores the saved object."""
        self.save(kind, name, namespace)
        where = [f"-n{namespace}"] if namespace else []
        kubectl("patch", kind, name, *where, f"--type={how}", f"--patch={json.dumps(patch)}")

    def save(self, kind: str, name: str, namespace: str = "") -> None:
        """Records an object as it is now, for `undo`."""
        found = get(kind, name, namespace=namespace or None)
        for key in ("resourceVersion", "uid", "generation", "managedFields", "creationTimestamp"):
            found["metadata"].pop(key, None)
        found.pop("status", None)
        self._append("kept", [kind, name, namespace, found])

    def start_process(self, module: str, *arguments: str, node: str = "") -> None:
        """Starts a module of this package as a process, in the control plane's network or on a node."""
        count = len(list(self.folder.glob("process-*")))
        process = f"cheat-{self.name}-{count}"
        write(self.folder / f"process-{count}", process)
        command = [sys.executable, "-m", f"lab.cheats.{module}", *arguments]
        root = Path(__file__).resolve().parents[2]
        environment = ["env", f"PYTHONPATH={root}", f"PLIMSOLL_LAB_NAME={layout.NAME}", f"PLIMSOLL_LAB={layout.FOLDER}"]
        place = machines.enter(node) if node else netns.in_namespace(layout.NAME)
        background.start(process, [*place, *environment, *command])

    def stop_processes(self) -> None:
        """Stops the processes that `start_process` started."""
        for path in self.folder.glob("process-*"):
            background.stop(path.read_text())

    def undo(self) -> None:
        """Deletes created objects, restores saved ones, and waits for the rollout of restored workloads."""
        for kind, name, namespace in reversed(self._read("made")):
            where = [f"-n{namespace}"] if namespace else []
            kubectl("delete", kind, name, *where, "--ignore-not-found", "--wait=true", "--timeout=60s", limit=70)
        # The first record of an object is its original state.
        firsts = {tuple(each[:3]): each[3] for each in reversed(self._read("kept"))}
        for manifest in firsts.values():
            _replace(manifest)
        for kind, name, namespace in firsts:
            if kind in _WORKLOADS:
                wait_for_rollout(namespace, f"{kind}/{name}", limit=_ROLLOUT_LIMIT)

    def delete_record(self) -> None:
        """Deletes the record, after everything is undone."""
        shutil.rmtree(self.folder)

    def _append(self, name: str, entry: list[Any]) -> None:
        path = self.folder / f"{name}.json"
        write(path, json.dumps([*self._read(name), entry]))

    def _read(self, name: str) -> list[Any]:
        path = self.folder / f"{name}.json"
        found: list[Any] = json.loads(path.read_bytes()) if path.exists() else []
        return found


def _replace(manifest: Manifest) -> None:
    try:
        kubectl("replace", "-f", "-", stdin=json.dumps(manifest))
    except LabError as error:
        if "NotFound" not in str(error) and "not found" not in str(error):
            raise
        kubectl("create", "-f", "-", stdin=json.dumps(manifest))
