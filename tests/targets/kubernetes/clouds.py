"""Clusters in memory that look as those of clouds do, and applications on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plimsoll.engine.preparation import Prepared, prepare
from plimsoll.targets.options import TargetOptions
from tests.targets.kubernetes.bench import Bench

LABELS = {
    "eks": {"eks.amazonaws.com/nodegroup": "a"},
    "gke": {"cloud.google.com/gke-nodepool": "a"},
    "aks": {"kubernetes.azure.com/cluster": "a"},
}
HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
"""


def node(bench: Bench, platform: str, name: str = "node-0", **settings: Any) -> None:
    """A node of a platform, in the place of one of that name."""
    labels = {**LABELS.get(platform, {}), **settings.pop("labels", {})}
    bench.cluster.add_node(name, labels=labels, **settings)


def prepared(bench: Bench, spec: str, target: str = "cloud") -> Prepared:
    """An application planned for the cluster; `CONTEXT` and `REGISTRY` stand for the bench's."""
    directory = Path(bench.directory)
    (directory / "train.py").write_text("print(1)\n")
    (directory / "prepare.py").write_text("print(1)\n")
    path = directory / "plimsoll.yaml"
    named = spec.replace("CONTEXT", bench.cluster.context).replace("REGISTRY", bench.registry)
    path.write_text(HEAD + named)
    found = prepare(path, target, TargetOptions(base=f"rootfs:{bench.base}"))
    found.target.close()
    return found
