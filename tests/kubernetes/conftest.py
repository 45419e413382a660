"""A cluster in memory for each test, which `Api` and the command line reach by the context `memory`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import MemoryCluster
from tests.kubernetes.kubeconfigs import Files


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    with MemoryCluster(["jobset", "kueue", "gateway"], directory=tmp_path) as found:
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig))
        yield found


@pytest.fixture
def api(cluster: MemoryCluster) -> Iterator[Api]:
    found = Api(cluster.context)
    yield found
    found.close()


@pytest.fixture
def kubeconfigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Kubeconfigs of a user who has no others, no lab, no proxy and no pod."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLIMSOLL_LAB", str(tmp_path / "lab"))
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return Files(tmp_path, monkeypatch)
