"""The API server in memory keeps what a real one promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import MemoryCluster

pytest.register_assert_rewrite(
    *(f"tests.kubernetes.contract_{part}" for part in ("applying", "ending", "objects", "reading", "rights"))
)
from tests.kubernetes.contract import Contract  # noqa: E402


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    """One cluster for all: as of a real one, each test has a namespace of it."""
    with MemoryCluster() as cluster, pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBECONFIG", str(cluster.kubeconfig))
        found = Api(cluster.context)
        yield found
        found.close()


class TestMemory(Contract):
    @pytest.fixture
    def api(self, shared: Api) -> Api:
        return shared
