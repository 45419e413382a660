"""A cluster in memory for each test, which `Api` and the command line reach by the context `memory`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import MemoryCluster


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
