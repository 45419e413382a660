"""The accelerators' driver in the cluster."""

from __future__ import annotations

from pathlib import Path

from lab.addons import upstream
from lab.documents import parsed
from lab.images import store
from lab.images.archive import Image
from lab.kubectl import apply, filled
from lab.layout import Node

_MANIFEST = Path(__file__).resolve().parents[1] / "manifests" / "accelerators.yaml"


def image() -> Image:
    """The driver's image."""
    return store.of_program("programs", "accelerator")


def manifests() -> list[upstream.Manifest]:
    """The driver on every node with accelerators, and the device classes."""
    return parsed(filled(_MANIFEST, DRIVER=image().names[0]))


def install(nodes: list[Node]) -> None:
    """Applies the driver's manifests and puts its image on the nodes."""
    store.load_everywhere([image()], nodes)
    apply(upstream.text(manifests()))
