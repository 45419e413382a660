"""A sandbox that does not isolate."""

from __future__ import annotations

from lab.cheats.active import ActiveCheat


def on(cheat: ActiveCheat) -> None:
    """Creates the RuntimeClass `isolated`, whose handler is the ordinary runtime."""
    cheat.create(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "isolated"},
            "handler": "runc",
        }
    )
