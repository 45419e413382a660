"""`plimsoll check` and `verify`, as far as they go without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from plimsoll.capabilities.checking import Judged, exit_status, verdicts
from plimsoll.capabilities.probe import ROOMS
from plimsoll.capabilities.requirements import MUST, SHOULD
from plimsoll.evidence.verdict import Outcome, Verdict, failed, not_applicable, passed, unknown
from plimsoll.report.load_line import count_outcomes, load_line
from tests.capabilities.recorded import FOLDER


def plimsoll(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "KUBECONFIG": "", "PLIMSOLL_LAB": str(home / "no-lab")}
    command = [sys.executable, "-m", "plimsoll", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--target is missing"),
        (["--target=x", "--profile=cncf-1.20"], "the profiles are: cncf-1.33"),
        (["--target=x", "--only=gangs"], "its requirements are: "),
        (["--target=x"], "there is no context 'x'"),
        (["--target=lab"], "python -m lab up"),
    ],
)
def test_wrong_usage_is_told_with_what_there_is(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = plimsoll("check", *arguments, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_printed_rights_are_a_role_without_wildcards(tmp_path: Path) -> None:
    role = yaml.safe_load(plimsoll("check", "--print-rbac", home=tmp_path).stdout)
    assert role["kind"] == "ClusterRole"
    assert "*" not in json.dumps(role["rules"])
    assert not [rule for rule in role["rules"] if "secrets" in rule["resources"]]


def test_a_bundle_that_is_none_is_told(tmp_path: Path) -> None:
    done = plimsoll("verify", str(tmp_path), home=tmp_path)
    assert done.returncode == 1
    assert "no complete evidence bundle" in done.stderr


def judged(level: str, verdict: Verdict) -> Judged:
    return Judged(requirement="gang_scheduling", level=level, verdict=verdict)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([judged(MUST, passed("x")), judged(SHOULD, failed("", "a", "b"))], 0),
        ([judged(MUST, passed("x")), judged(MUST, not_applicable("no autoscaler"))], 0),
        ([judged(MUST, passed("x")), judged(MUST, unknown("?"))], 3),
        ([judged(MUST, unknown("?")), judged(MUST, failed("", "a", "b"))], 1),
    ],
)
def test_the_exit_status_tells_failed_from_not_shown(found: list[Judged], status: int) -> None:
    assert exit_status(found) == status


def test_the_load_line_counts_every_outcome_and_explains_all_but_passes() -> None:
    found = [
        judged(MUST, passed("2 of 2")),
        judged(MUST, failed("1 of 2", "why", "what to do")),
        judged(SHOULD, unknown("nobody knows")),
    ]
    text = load_line(found, 100)
    for word in ("2 of 2", "cause: why", "remedy: what to do", "cause: nobody knows"):
        assert word in text
    assert count_outcomes(found) == "MUST: 1 pass, 1 fail · SHOULD: 1 unknown"


def test_records_are_judged_without_a_cluster_and_what_has_no_record_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "probes").mkdir()
    kept = [name for name in ROOMS if name != "ai_inference" and (FOLDER / f"{name}.jsonl").exists()]
    for name in kept:
        (tmp_path / "probes" / f"{name}.jsonl").write_bytes((FOLDER / f"{name}.jsonl").read_bytes())
    found = {each.requirement: each.verdict.outcome for each in verdicts(tmp_path, "cncf-1.37")}
    assert found["ai_inference"] is Outcome.SKIPPED
    assert {found[name] for name in kept if name in found} == {Outcome.PASS}
    assert {outcome for name, outcome in found.items() if name not in kept} == {Outcome.SKIPPED}
