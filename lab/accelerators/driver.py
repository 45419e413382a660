"""The driver of the accelerators in the cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lab.documents import Manifest, json_list, parse
from lab.images import store
from lab.images.archive import Image
from lab.kubectl import apply, get, render_template, wait, wait_for_rollout
from lab.layout import Node

NAMESPACE = "accelerators"
RESOURCE = "plimsoll.dev/accelerator"
_REGISTRATION_LIMIT = 60.0
_MANIFEST = Path(__file__).resolve().parents[1] / "manifests" / "accelerators.yaml"


def image() -> Image:
    """The driver's image."""
    return store.program_image("programs", "accelerator")


def manifests() -> list[Manifest]:
    """The driver on every node with accelerators, and the device classes."""
    return parse(render_template(_MANIFEST, DRIVER=image().names[0]))


def install(nodes: list[Node]) -> None:
    """Applies the driver and imports its image into the nodes. Waits until each accelerated node reports accelerators.

    Raises LabError with the first node that does not.
    """
    store.load_everywhere([image()], nodes)
    apply(json_list(manifests()))
    wait_for_rollout(NAMESPACE, "daemonset/driver")
    for node in nodes:
        if node.accelerated:
            wait(f"the accelerators of {node.name}", partial(_missing_accelerators, node.name), _REGISTRATION_LIMIT)


def _missing_accelerators(node: str) -> str | None:
    counted = get("node", node).get("status", {}).get("allocatable", {}).get(RESOURCE, "0")
    return None if int(counted) else f"the kubelet does not report {RESOURCE} yet"
