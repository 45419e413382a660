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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the series unless it is asked for, and tests of a lab, which may take a running one down, without `-m lab`."""
    of_labs = "lab" in str(config.getoption("markexpr"))
    for item in items:
        if item.get_closest_marker("series") and not SERIES:
            item.add_marker(pytest.mark.skip(reason="a repeat or a second provider: make test-all runs it"))
        elif item.get_closest_marker("lab") and not of_labs:
            item.add_marker(pytest.mark.skip(reason="it uses the lab: ask for it with -m lab"))
