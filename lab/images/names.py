"""The names of images. An image that upstream has too carries upstream's name, so that its manifests find it."""

from __future__ import annotations

from lab.build.cache import key
from lab.build.components import Component

REGISTRY = "lab.plimsoll.dev"
# The registry of the add-on `registry`.
REGISTRY_HOST = "registry.lab.plimsoll.dev"
PAUSE = "registry.k8s.io/pause:3.10.1"
# Upstream's static binary for end-to-end tests, which serves, dials, echoes and waits; and a shell.
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"


def built_image_name(program: str, component: Component, version: str | None = None) -> str:
    """The name of the image of a built program. Its tag changes with each build, so that pods use the new build."""
    named = version or (component.version if component.version.startswith("v") else "lab")
    return f"{REGISTRY}/{program}:{named}-{key(component)[:8]}"


def qualified_name(name: str) -> str:
    """`name` with the lab's registry if it has no registry, and the tag `latest` if it has neither tag nor digest."""
    head = name.partition("/")[0]
    if "/" not in name or not ("." in head or ":" in head or head == "localhost"):
        name = f"{REGISTRY}/{name}"
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"
