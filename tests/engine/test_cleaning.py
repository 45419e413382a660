"""Whatever people do and `clean` removes, runs are resumed, services go on, and versions can be rolled back to."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import SERIES
from tests.engine.cleaning_histories import People


@pytest.mark.slow
@pytest.mark.timeout(3600 if SERIES else 300)
def test_clean_breaks_no_resume_no_rollback_and_no_service_in_any_history() -> None:
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=150 if SERIES else 8,
            stateful_step_count=25 if SERIES else 12,
            derandomize=not SERIES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
