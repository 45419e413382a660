"""What images are called. Upstream's names where upstream has the same thing, so that its manifests find them."""

from __future__ import annotations

from lab.build.cache import key
from lab.build.components import Component

REGISTRY = "lab.plimsoll.dev"
# The registry that the add-on of that name runs.
REGISTRY_HOST = "registry.lab.plimsoll.dev"
PAUSE = "registry.k8s.io/pause:3.10.1"
# One static binary that serves, dials, echoes and waits, as upstream's own end-to-end tests use it, and a shell.
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"


def built_image_name(program: str, component: Component, version: str | None = None) -> str:
    """The name of a built program's image. Its tag changes with the build, so that pods follow a rebuild."""
    named = version or (component.version if component.version.startswith("v") else "lab")
    return f"{REGISTRY}/{program}:{named}-{key(component)[:8]}"


def qualified_name(name: str) -> str:
    """A name with the lab's registry where it has none, and the tag `latest` where it has neither tag nor digest."""
    head = name.partition("/")[0]
    if "/" not in name or not ("." in head or ":" in head or head == "localhost"):
        name = f"{REGISTRY}/{name}"
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"
