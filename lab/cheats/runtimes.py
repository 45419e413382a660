"""A cheat with sandboxing: a RuntimeClass without a sandbox."""

from __future__ import annotations

from lab.cheats.scene import Scene


def on(scene: Scene) -> None:
    """Create a RuntimeClass whose handler is the ordinary runtime. It replaces a real one of that name."""
    scene.make(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "isolated"},
            "handler": "runc",
        }
    )
