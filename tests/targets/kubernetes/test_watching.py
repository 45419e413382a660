"""How a workload has ended, by its controller's word."""

from __future__ import annotations

import pytest

from plimsoll.targets.kubernetes.reasons.workloads import ended


@pytest.mark.parametrize("kind", ["Complete", "Completed", "Succeeded"])
def test_a_condition_of_its_controller_says_that_it_is_done(kind: str) -> None:
    assert ended({"status": {"conditions": [{"type": kind, "status": "True"}]}}) == ("done", "")
    assert ended({"status": {"conditions": [{"type": kind, "status": "False"}]}}) == ("", "")


def test_a_failure_has_its_controllers_words() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "it took too long"}
    assert ended({"status": {"conditions": [failed]}}) == ("failed", "DeadlineExceeded: it took too long")


def test_a_ray_job_ends_by_its_deployment_status_with_the_last_line_of_the_command() -> None:
    assert ended({"status": {"jobDeploymentStatus": "Running"}}) == ("", "")
    assert ended({"status": {"jobDeploymentStatus": "Complete", "message": "Job finished."}}) == ("done", "")
    logs = "Job failed, last available logs:\nepoch 1\nValueError: no rows\n"
    assert ended({"status": {"jobDeploymentStatus": "Failed", "message": logs}}) == ("failed", "ValueError: no rows")
    assert ended({"status": {"jobDeploymentStatus": "Failed"}})[0] == "failed"
