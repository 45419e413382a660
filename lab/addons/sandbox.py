"""gVisor. Every node's containerd is configured for it; the add-on builds it and creates its RuntimeClass."""

from __future__ import annotations

from lab.addons.catalogue import AddonContent


def gvisor() -> AddonContent:
    """The RuntimeClass `gvisor`."""
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "gvisor"},
        "handler": "runsc",
    }
    return AddonContent(images=[], stages=[[runtime_class]], ready=[])
