"""The lab stays up between tests. After a test that removes it, the next test starts it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab import lifecycle, machines, nodes, requirements
from lab.addons import catalogue
from lab.build import cache
from lab.build.components import BY_NAME
from lab.layout import CONTROL_PLANE, Node
from tests.conftest import SERIES
from tests.lab.cluster import Namespace

NODES = 2
ACCELERATED = 1
LIMIT = 600
"""Seconds for a test: on two busy processors add-ons take minutes to come up."""
Up = Callable[..., list[Node]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = requirements.missing()
    if not missing:
        unbuilt = [name for name in lifecycle.CORE if not cache.is_built(BY_NAME[name])]
        missing = [f"{', '.join(unbuilt)} to be built: 'python -m lab build'"] if unbuilt else []
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.timeout(LIMIT))
            # A test that removes the lab breaks open connections, which warn when they are collected.
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"the lab needs {'; '.join(missing)}"))

    # Tests that remove the lab run last, as every later test would have to start all of it again.
    items.sort(key=lambda item: any(name in item.nodeid for name in ("test_lifecycle", "lab.md")))


@pytest.fixture(scope="session")
def _session() -> Iterator[None]:
    ran_before = machines.first_process(CONTROL_PLANE) is not None
    yield
    if not ran_before:
        lifecycle.down(lambda _: None)


@pytest.fixture
def up(_session: None) -> Up:
    """Brings the lab to the state that a test needs and returns its nodes. Quick when the lab is in that state."""

    def bring(*addons: str, accelerated: int = 0) -> list[Node]:
        wanted = catalogue.components_of(addons)
        if not SERIES and (others := set(wanted) - set(catalogue.components_of(catalogue.TESTED))):
            pytest.skip(f"needs {', '.join(sorted(others))}: 'make test-all' runs it")
        if unbuilt := [name for name in wanted if not cache.is_built(BY_NAME[name])]:
            pytest.skip(f"{', '.join(unbuilt)} is not built; 'make test-all' builds every add-on")
        lifecycle.up(NODES, accelerated, addons, lambda _: None)
        return nodes.all_nodes()

    return bring


@pytest.fixture
def namespace(up: Up) -> Iterator[Namespace]:
    up()
    made = Namespace()
    yield made
    made.delete()
