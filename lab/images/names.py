"""What images are called. Upstream's names where upstream has the same thing, so that its manifests find them."""

from __future__ import annotations

from lab.build.cache import key
from lab.build.components import Component

REGISTRY = "lab.plimsoll.dev"
PAUSE = "registry.k8s.io/pause:3.10.1"
# One static binary that serves, dials, echoes and waits, as upstream's own end-to-end tests use it, and a shell.
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"


def of_build(program: str, component: Component, version: str | None = None) -> str:
    """The name of a built program's image. Its tag changes with the build, so that pods follow a rebuild."""
    named = version or (component.version if component.version.startswith("v") else "lab")
    return f"{REGISTRY}/{program}:{named}-{key(component)[:8]}"
