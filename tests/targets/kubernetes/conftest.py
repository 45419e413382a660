"""Benches on clusters in memory. Waits that only spare a real cluster are left out, and images have no runtime."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plimsoll.images.dependencies import PythonTarget
from plimsoll.images.layers import Layer, LayerEntry, LayerStore
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.registry.references import Reference
from plimsoll.targets.kubernetes import images, leases, traffic, watching
from plimsoll.targets.kubernetes.work import cutover, joining, rollout
from tests.servers import registry as registry_process
from tests.targets.kubernetes.bench import Bench

NewBench = Callable[..., Bench]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("registry"), in_memory=True) as found:
        yield found


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which layers are kept from one test to the next, as a user's are from one run to the next."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system to build images on; nothing ever runs in it."""
    root = tmp_path_factory.mktemp("base")
    (root / "etc").mkdir()
    (root / "etc" / "hostname").write_text("base\n")
    return root


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, layers: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(layers))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # Nothing here speaks TLS, and reading the system's authorities takes longer than all the rest.
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "no-authorities"))
    monkeypatch.setattr(images, "runtime_layers", _no_runtime)
    monkeypatch.setattr(watching, "LOOK", 0.05)
    monkeypatch.setattr(joining, "LOOK", 0.05)
    monkeypatch.setattr(leases, "LOOK", 0.05)
    monkeypatch.setattr(leases, "WATCHED", 0.2)
    monkeypatch.setattr(leases, "RENEWAL", 0.1)
    monkeypatch.setattr(rollout, "LOOK", 0.05)
    monkeypatch.setattr(cutover, "FOLLOWED", 0.0)
    monkeypatch.setattr(traffic, "SPREAD", 0.0)


@pytest.fixture
def new_bench(
    quick: None, monkeypatch: pytest.MonkeyPatch, registry: Reference, base: Path, tmp_path: Path
) -> Iterator[NewBench]:
    """A bench on a cluster with add-ons; the last one's cluster is what contexts lead to."""
    with ExitStack() as stack:

        def made(*addons: str, nodes: int = 1) -> Bench:
            cluster = stack.enter_context(MemoryCluster(addons))
            monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
            for number in range(nodes):
                cluster.add_node(f"node-{number}")
            bench = Bench(cluster, f"{registry.registry}/t{next(_numbers)}", base, tmp_path)
            bench.start()
            stack.callback(bench.close)
            return bench

        yield made


@pytest.fixture
def bench(new_bench: NewBench) -> Bench:
    """A cluster with nothing but Kubernetes itself."""
    return new_bench()


def _no_runtime(store: LayerStore, python: PythonTarget, extras: object = ()) -> list[Layer]:
    """A small layer in place of our runtime and its dependencies: what runs in these pods is not in their images."""
    return [store.find("no-runtime") or store.add("no-runtime", [LayerEntry(path="opt/none", content=b"none")])]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    """A cluster that the kubeconfig leads to, with nothing in it."""
    with MemoryCluster(directory=tmp_path) as found:
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig))
        yield found


@pytest.fixture
def api(cluster: MemoryCluster) -> Iterator[Api]:
    found = Api(cluster.context)
    yield found
    found.close()
