"""A sandbox in name only."""

from __future__ import annotations

from lab.cheats.active import ActiveCheat


def on(cheat: ActiveCheat) -> None:
    """A RuntimeClass whose handler is the ordinary runtime; a real one of that name is put aside."""
    cheat.create(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "isolated"},
            "handler": "runc",
        }
    )
