"""The accelerators' driver in the cluster."""

from __future__ import annotations

from pathlib import Path

from lab.images import store
from lab.kubectl import apply, filled
from lab.layout import Node

_MANIFEST = Path(__file__).resolve().parents[1] / "manifests" / "accelerators.yaml"


def install(nodes: list[Node]) -> None:
    """Applies the driver's manifest and puts its image on the nodes."""
    image = store.of_program("programs", "accelerator")
    store.load_everywhere([image], nodes, lambda _: None)
    apply(filled(_MANIFEST, DRIVER=image.names[0]))
