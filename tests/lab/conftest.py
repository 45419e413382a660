"""The lab stays up across its tests; a test that takes it down leaves the next one to bring it up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab import lifecycle, machines, nodes, requirements
from lab.layout import CONTROL_PLANE, Node
from tests.lab.cluster import Namespace

NODES = 2
ACCELERATED = 1
Up = Callable[..., list[Node]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = requirements.missing()
    for item in items:
        if "tests/lab" in str(item.path) and item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.timeout(300))
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"the lab needs {'; '.join(missing)}"))


@pytest.fixture(scope="session")
def _session() -> Iterator[None]:
    ran_before = machines.first_process(CONTROL_PLANE) is not None
    yield
    if not ran_before:
        lifecycle.down(lambda _: None)


@pytest.fixture
def up(_session: None) -> Up:
    """Brings the lab to what a test needs and gives its nodes; quick when that is how it is."""

    def bring(*addons: str, accelerated: int = 0) -> list[Node]:
        lifecycle.up(NODES, accelerated, addons, lambda _: None)
        return nodes.all_nodes()

    return bring


@pytest.fixture
def namespace(up: Up) -> Iterator[Namespace]:
    up()
    made = Namespace()
    yield made
    made.delete()
