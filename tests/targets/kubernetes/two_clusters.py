"""Two clusters in memory and this machine, as one file names them: each cluster with a registry of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from msgspec import Struct

from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import Prepared, prepare
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.several import attempt, place
from tests.servers import registry as registry_process
from tests.targets.kubernetes.bench import Bench
from tests.targets.kubernetes.serving import Server, inference

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  targets:
    onprem: {context: factory, route: %s/onprem}
    cloud: {context: eks, route: %s/cloud}
"""
PARTS = """\
  datasets:
    orders: {source: orders.csv}
    features: {run: python prepare.py, inputs: [orders], outputs: [rows.csv], target: onprem}
  models:
    triage: {train: {run: python train.py, inputs: [features]}}
  services:
    api: {model: triage, target: cloud}
"""


class Two(Struct, frozen=True, kw_only=True):
    """Two clusters, each with a registry of its own that stores in a directory, and an application's directory."""

    onprem: Bench
    cloud: Bench
    onprem_data: Path
    cloud_data: Path
    directory: Path
    head: str
    servers: tuple[Server, Server]
    """What answers for the pods of services, on-premises and in the cloud."""

    def file(self, parts: str = PARTS) -> Path:
        path = self.directory / "plimsoll.yaml"
        path.write_text(self.head + parts)
        return path

    def prepared(self, parts: str = PARTS, target: str | None = None) -> Prepared:
        return prepare(self.file(parts), target, TargetOptions(base=f"rootfs:{self.onprem.base}"))

    def run(self, parts: str = PARTS) -> RunHistory:
        prepared = self.prepared(parts)
        try:
            return ApplicationRun(prepared).carry_out()
        finally:
            prepared.target.close()

    def begun(self) -> list[str]:
        return sorted(pod.task.step for bench in (self.onprem, self.cloud) for pod in bench.begun)


@contextmanager
def two_clusters(monkeypatch: pytest.MonkeyPatch, base: Path, tmp_path: Path, *addons: str) -> Iterator[Two]:
    """Both clusters with their controllers, and a kubeconfig that leads to them. Every pod of a service answers."""
    monkeypatch.setattr(attempt, "LOOK", 0.05)
    monkeypatch.setattr(place, "ABSENT_FOR", 0.0)
    directory = tmp_path / "application"
    directory.mkdir()
    (directory / "orders.csv").write_text("a,b\n1,2\n")
    for name in ("prepare.py", "train.py", "make.py"):
        (directory / name).write_text("")
    with ExitStack() as stack:
        benches, routes, servers = [], [], []
        for name in ("onprem", "cloud"):
            (tmp_path / name).mkdir()
            found = stack.enter_context(registry_process(tmp_path / name))
            cluster = stack.enter_context(MemoryCluster(addons))
            cluster.add_node(f"{name}-node")
            bench = Bench(cluster, f"{found.registry}/{name}", base, directory)
            bench.start()
            stack.callback(bench.close)
            servers.append(stack.enter_context(inference(bench)))
            benches.append(bench)
            routes.append(found.registry)
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(merged({"factory": benches[0].cluster, "eks": benches[1].cluster})))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        metrics = json.dumps({"accuracy": 0.9})
        benches[0].does("train/triage", lambda pod: pod.leave(model_onnx="weights", metrics_json=metrics))
        yield Two(
            onprem=benches[0],
            cloud=benches[1],
            onprem_data=tmp_path / "onprem" / "data",
            cloud_data=tmp_path / "cloud" / "data",
            directory=directory,
            head=FILE % tuple(routes),
            servers=(servers[0], servers[1]),
        )


def merged(clusters: dict[str, MemoryCluster]) -> dict[str, object]:
    """A kubeconfig that leads to clusters by names of ours."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(clusters)),
        "clusters": [
            {"name": name, "cluster": {"server": each.url, "insecure-skip-tls-verify": True}}
            for name, each in clusters.items()
        ],
        "users": [{"name": name, "user": {"token": each.token}} for name, each in clusters.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in clusters],
    }
