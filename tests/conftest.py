"""What holds for all tests."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# A busy machine makes an example slow; no test is about time.
settings.register_profile("plimsoll", deadline=None)
settings.load_profile("plimsoll")

# A shell that runs something behind itself has it ignore Ctrl-C, which everything that the tests start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SERIES = os.environ.get("PLIMSOLL_TESTS") == "all"
"""Whether this run has time for repeats and second providers: `make test-all` says so."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of the series, by name and with the reason, unless they are asked for."""
    if SERIES:
        return
    for item in items:
        if item.get_closest_marker("series"):
            item.add_marker(pytest.mark.skip(reason="a repeat or a second provider: make test-all runs it"))
