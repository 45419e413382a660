"""Workspaces: components that are built against one set of library versions, so that Go compiles each library once.

Kubernetes' libraries are most of what an add-on compiles, and each add-on's own pins would compile them anew.
`python -m lab.build.alignment NAME` writes the workspace's file after a member's pins have changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab.build.components import BY_NAME, Component, Workspace

_MODULE = "{{with .Module}}{{.Path}} {{if .Replace}}{{.Replace.Version}}{{else}}{{.Version}}{{end}}{{end}}"


@dataclass(frozen=True)
class _Leader:
    """The component whose library versions a workspace takes. Only modules that begin with a prefix are replaced."""

    component: str
    prefixes: tuple[str, ...]


# Kubernetes' own libraries are the leader's; of everything else the add-ons have the newest that one of them requires.
# Go compiles a library once for each version that is required, whatever replaces it: only within a workspace is it one.
_LEADERS = {
    "addons": _Leader("kueue", ("k8s.io/", "sigs.k8s.io/controller-runtime", "sigs.k8s.io/structured-merge-diff")),
}


def replacements(members: dict[str, str], leader: dict[str, str], prefixes: tuple[str, ...]) -> list[str]:
    """The replacements after which `members` have the leader's version of every module that both use."""
    return [
        f"{module} => {module} {leader[module]}"
        for module, version in sorted(members.items())
        if module.startswith(prefixes) and leader.get(module, version) != version
    ]


def align(workspace: Workspace) -> None:
    """Writes the workspace's file and its sums."""
    leader = _LEADERS[workspace.name]
    members = [component for component in BY_NAME.values() if component.workspace == workspace]
    _write(workspace, members, [])
    mine = _versions(members, workspace.file)
    theirs = _versions([BY_NAME[leader.component]], None)
    _write(workspace, members, replacements(mine, theirs, leader.prefixes))
    _versions(members, workspace.file)


def _write(workspace: Workspace, members: list[Component], replaced: list[str]) -> None:
    uses = "".join(f"\t./{component.name}\n" for component in members)
    versions = "".join(f"\t{line}\n" for line in replaced)
    go = max((_go_of(component) for component in members), key=lambda text: [int(part) for part in text.split(".")])
    workspace.file.write_text(f"go {go}\n\nuse (\n{uses})\n" + (f"\nreplace (\n{versions})\n" if replaced else ""))


def _go_of(component: Component) -> str:
    found = re.search(r"^go (\S+)", (component.folder / "go.mod").read_text(), re.MULTILINE)
    return found[1] if found else "1.24"


def _versions(components: list[Component], workspace: Path | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for component in components:
        listed = subprocess.run(
            ["go", "list", "-deps", "-f", _MODULE, *component.programs.values()],
            cwd=component.folder,
            env={**os.environ, "GOWORK": str(workspace or "off"), "CGO_ENABLED": "0"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for module, _, version in (line.partition(" ") for line in listed.splitlines()):
            if version:
                found[module] = version
    return found


if __name__ == "__main__":
    align(Workspace(sys.argv[1]))
