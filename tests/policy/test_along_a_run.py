"""Policies from the file to the report: shown by the plan, held before the run and before the step that serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.cli.verbs.plan import _summary as plan_summary
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.policies.gate import gate_of
from plimsoll.engine.preparation import Prepared, prepare
from plimsoll.engine.summary import summary
from plimsoll.policy.findings import Judged, PolicyRefused
from plimsoll.registry.attestations import ATTESTATION_ARTIFACT
from plimsoll.report.write import terminal_report, write_report
from plimsoll.targets.models import model_registry
from tests.runtime.conftest import linear_model

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n"
PARTS = """\
  datasets: {live: {source: live.csv}}
  models: {scorer: {source: model.onnx LICENCE}}
  batches: {live: {model: scorer, input: live}}
"""


def prepared(directory: Path, policies: str, licence: str = "") -> Prepared:
    (directory / "live.csv").write_text("left,right\n1,2\n")
    linear_model(directory / "model.onnx")
    parts = PARTS.replace("source: model.onnx LICENCE", f"source: model.onnx{licence}")
    (directory / "plimsoll.yaml").write_text(f"{HEAD}  policies: {policies}\n{parts}")
    return prepare(directory / "plimsoll.yaml")


def judged(made: Prepared) -> tuple[Judged, ...]:
    gate = gate_of(made)
    assert gate is not None
    return gate.judge_plan()


def carried_out(made: Prepared) -> RunHistory:
    return ApplicationRun(made).carry_out()


def test_a_plan_that_breaks_a_policy_starts_nothing(tmp_path: Path) -> None:
    made = prepared(tmp_path, "{supply-chain: {origins: ['pypi:acme-*']}}")
    with pytest.raises(
        PolicyRefused, match=r"policies forbid the run: origins: models.scorer: it is from model.onnx"
    ) as refused:
        carried_out(made)
    assert refused.value.where == "plimsoll.yaml:7:29"
    assert "add a pattern to policies.supply-chain.origins" in refused.value.hint
    assert not (tmp_path / ".plimsoll" / "runs").exists()
    assert plan_summary(made, (), (), judged(made))["policies"]


@pytest.mark.slow
def test_a_licence_that_turns_out_unknown_stops_the_step_that_would_use_the_model(tmp_path: Path) -> None:
    policies = "{supply-chain: {licences: [MIT]}}"
    made = prepared(tmp_path, policies)
    assert [each.verdict for each in judged(made)] == ["later"]
    run = carried_out(made)
    assert run.state == "failed"
    step = run.step("score/live")
    assert step.state == "failed"
    assert step.attempts == 0
    assert "policies forbid score/live: it is not known whether it holds" in step.reason
    assert ("licences", "unknown") in [(each.gate, each.verdict) for each in run.policies]
    assert "its licence is not known" in "\n".join(terminal_report(made.state, run.run, 200, False))
    page = write_report(made.state, run.run).read_text()
    assert "<h2>Policies</h2>" in page
    assert "its licence is not known" in page

    again = carried_out(prepared(tmp_path, policies, ", licence: MIT"))
    assert again.state == "done", [step.reason for step in again.steps]


@pytest.mark.slow
def test_a_version_that_loses_its_statements_is_refused_although_nothing_else_changed(
    tmp_path: Path,
) -> None:
    policies = "{supply-chain: {require: [signed, provenance, sbom, scanned], licences: [MIT]}}"
    made = prepared(tmp_path, policies, ", licence: MIT")
    run = carried_out(made)
    assert run.state == "done", [step.reason for step in run.steps]
    found = summary(run, {}, None)["policies"]
    assert isinstance(found, tuple)
    assert {each["verdict"] for each in found if each["about"] == "scorer@1"} == {"passed"}
    assert "later" not in {each["verdict"] for each in found}
    carried_out(prepared(tmp_path, policies, ", licence: MIT"))

    registry = model_registry(made.state)
    entries = [entry for entry in registry.layout.entries() if entry.artifact_type != ATTESTATION_ARTIFACT]
    registry.layout.write_entries(entries)
    registry.accept_index()
    with pytest.raises(PolicyRefused, match="provenance: scorer@1: it has no provenance"):
        carried_out(prepared(tmp_path, policies, ", licence: MIT"))
