"""Pins a component: writes its go.mod with upstream's replacements, which Go ignores in a dependency.

`python -m lab.build.pin NAME VERSION` updates a component. The diff of go.mod and go.sum is the update.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from lab.build.components import BY_NAME, Component


def replacements(upstream: str, version: str) -> list[str]:
    """The replacements of upstream's go.mod. Local folders become the modules that upstream publishes for `version`.

    Kubernetes v1.X.Y publishes each of its staging folders as v0.X.Y. A replacement by another local folder has no
    published module and is left out.
    """
    lines = []
    for block in re.findall(r"^replace \(\n(.*?)^\)", upstream, re.MULTILINE | re.DOTALL):
        lines += block.splitlines()
    lines += re.findall(r"^replace ([^(\n]+)$", upstream, re.MULTILINE)
    found = []
    for line in (line.split("//")[0].strip() for line in lines):
        if not line:
            continue
        old, new = (part.strip() for part in line.split("=>"))
        if new.startswith("./staging/src/"):
            new = f"{new.removeprefix('./staging/src/')} v0{version.removeprefix('v1')}"
        if not new.startswith("."):
            found.append(f"{old} => {new}")
    return found


def pin(component: Component, version: str) -> None:
    """Writes go.mod and go.sum of `component` for `version` of its module."""
    downloaded = subprocess.run(
        ["go", "mod", "download", "-json", f"{component.module}@{version}"], check=True, capture_output=True, text=True
    )
    upstream = (Path(json.loads(downloaded.stdout)["Dir"]) / "go.mod").read_text()
    go = re.search(r"^go \S+", upstream, re.MULTILINE)
    godebug = re.findall(r"^godebug \S+$", upstream, re.MULTILINE)
    component.folder.mkdir(parents=True, exist_ok=True)
    parts = [
        f"module plimsoll.dev/lab/components/{component.name}",
        go[0] if go else "go 1.24",
        *godebug,
        f"require {component.module} {version}",
        *(f"replace {line}" for line in replacements(upstream, version)),
    ]
    (component.folder / "go.mod").write_text("\n\n".join(parts) + "\n")
    (component.folder / "go.sum").unlink(missing_ok=True)
    tools = [f"{package}@{version}" for package in component.programs.values()]
    subprocess.run(["go", "get", "-tool", *tools], cwd=component.folder, check=True)
    subprocess.run(["go", "mod", "edit", "-fmt"], cwd=component.folder, check=True)


if __name__ == "__main__":
    pin(BY_NAME[sys.argv[1]], sys.argv[2])
