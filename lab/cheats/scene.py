"""Records and undoes the changes of one cheat. Each change is on disk before it is made."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from lab import background, layout, machines
from lab.errors import LabError
from lab.files import write
from lab.kubectl import apply, get, kubectl, rolled_out
from lab.network import wires

Manifest = dict[str, Any]
LABEL = "plimsoll.dev/cheat"
_FOLDER = layout.FOLDER / "cheats"
_WORKLOADS = frozenset({"deployment", "daemonset", "statefulset"})
_LIMIT = 120.0


def active() -> list[str]:
    """Names of the cheats that are switched on, completely or in part."""
    return sorted(path.name for path in _FOLDER.glob("*")) if _FOLDER.is_dir() else []


class Scene:
    """The changes of one cheat to the lab, with their records on disk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = _FOLDER / name

    def begun(self) -> bool:
        """Whether the cheat may have changed anything."""
        return self.folder.is_dir()

    def make(self, *manifests: Manifest) -> None:
        """Create objects. `undo` deletes them."""
        for each in manifests:
            metadata = each["metadata"]
            metadata["labels"] = {**metadata.get("labels", {}), LABEL: self.name}
            kind = (
                each["kind"] if "/" not in each["apiVersion"] else f"{each['kind']}.{each['apiVersion'].split('/')[0]}"
            )
            self._note("made", [kind, metadata["name"], metadata.get("namespace", "")])
            apply(json.dumps(each))

    def change(self, kind: str, name: str, patch: Any, namespace: str = "", how: str = "merge") -> None:
        """Patch an object. `undo` restores its earlier state."""
        self.keep(kind, name, namespace)
        where = [f"-n{namespace}"] if namespace else []
        kubectl("patch", kind, name, *where, f"--type={how}", f"--patch={json.dumps(patch)}")

    def keep(self, kind: str, name: str, namespace: str = "") -> None:
        """Record the current state of an object for `undo`."""
        found = get(kind, name, namespace=namespace or None)
        for key in ("resourceVersion", "uid", "generation", "managedFields", "creationTimestamp"):
            found["metadata"].pop(key, None)
        found.pop("status", None)
        self._note("kept", [kind, name, namespace, found])

    def run(self, module: str, *arguments: str, node: str = "") -> None:
        """Start a module of this package as a process: in the control plane's network, or on a node."""
        count = len(list(self.folder.glob("process-*")))
        process = f"cheat-{self.name}-{count}"
        write(self.folder / f"process-{count}", process)
        command = [sys.executable, "-m", f"lab.cheats.{module}", *arguments]
        root = Path(__file__).resolve().parents[2]
        environment = ["env", f"PYTHONPATH={root}", f"PLIMSOLL_LAB_NAME={layout.NAME}", f"PLIMSOLL_LAB={layout.FOLDER}"]
        place = machines.enter(node) if node else wires.inside(layout.NAME)
        background.start(process, [*place, *environment, *command])

    def end_processes(self) -> None:
        """End the processes that `run` started."""
        for path in self.folder.glob("process-*"):
            background.end(path.read_text())

    def undo(self) -> None:
        """Delete created objects, restore changed ones, and wait until restored workloads are ready."""
        for kind, name, namespace in reversed(self._noted("made")):
            where = [f"-n{namespace}"] if namespace else []
            kubectl("delete", kind, name, *where, "--ignore-not-found", "--wait=true", "--timeout=60s", limit=70)
        # The first record of an object is its original state.
        originals = {tuple(each[:3]): each[3] for each in reversed(self._noted("kept"))}
        for manifest in originals.values():
            _replace(manifest)
        for kind, name, namespace in originals:
            if kind in _WORKLOADS:
                rolled_out(namespace, f"{kind}/{name}", limit=_LIMIT)

    def forget(self) -> None:
        """Delete the records."""
        shutil.rmtree(self.folder)

    def _note(self, list_name: str, entry: list[Any]) -> None:
        path = self.folder / f"{list_name}.json"
        write(path, json.dumps([*self._noted(list_name), entry]))

    def _noted(self, list_name: str) -> list[Any]:
        path = self.folder / f"{list_name}.json"
        found: list[Any] = json.loads(path.read_bytes()) if path.exists() else []
        return found


def _replace(manifest: Manifest) -> None:
    try:
        kubectl("replace", "-f", "-", stdin=json.dumps(manifest))
    except LabError as error:
        if "NotFound" not in str(error) and "not found" not in str(error):
            raise
        kubectl("create", "-f", "-", stdin=json.dumps(manifest))
