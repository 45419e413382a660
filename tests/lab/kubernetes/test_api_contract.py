"""The lab's real API server keeps the very promises that the one in memory is held to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plimsoll.kubernetes.api import Api
from tests.lab.conftest import Up

pytest.register_assert_rewrite(
    *(f"tests.kubernetes.contract_{part}" for part in ("applying", "ending", "objects", "reading", "rights"))
)
from tests.kubernetes.contract import Contract  # noqa: E402

pytestmark = pytest.mark.lab


class TestLab(Contract):
    @pytest.fixture
    def api(self, up: Up) -> Iterator[Api]:
        up()
        found = Api("lab")
        yield found
        found.close()
