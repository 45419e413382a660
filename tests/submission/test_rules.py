"""Each rule reports its bad case at the right line, and does not report a similar valid case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from plimsoll.submission.artifacts import UNMAPPED_TESTS
from plimsoll.submission.finding import Severity
from plimsoll.submission.linter import lint_file
from plimsoll.submission.rules import NOT_YAML, RULES
from plimsoll.submission.version_requirements import template_requirements

from .questionnaires import (
    DOCS,
    Document,
    answer,
    as_yaml,
    complete_questionnaire,
    requirements_of,
    save_questionnaire,
    template,
    with_answer,
    with_metadata,
)

Case = tuple[str, str | Document, str | Document]
VALID = complete_questionnaire()
NEXT = complete_questionnaire("1.37")
TEXT = as_yaml(VALID)
GANG = "gang_scheduling"
CONFORMANCE = "https://github.com/cncf/k8s-conformance/tree/master"
PASSED = '<testsuites><testsuite><testcase name="TestGangScheduling"/></testsuite></testsuites>'


def gang(**fields: object) -> Document:
    return with_answer(VALID, GANG, **fields)


def metadata(**fields: object) -> Document:
    return with_metadata(VALID, **fields)


def replaced(old: str, new: str, text: str = TEXT) -> str:
    assert old in text
    return text.replace(old, new, 1)


def moved(name: str, category: str) -> Document:
    document = with_answer(VALID, name)
    item = answer(document, name)
    for items in document["spec"].values():
        if item in items:
            items.remove(item)
    document["spec"].setdefault(category, []).append(item)
    return document


def added(item: Document, category: str = "operator") -> Document:
    document = with_answer(VALID, GANG)
    document["spec"][category].append(item)
    return document


def both(one: str, other: str, **fields: object) -> Document:
    return with_answer(with_answer(VALID, one, **fields), other, **fields)


LONG = "Installed by Helm on a cluster of three nodes and tried with two jobs."
CASES: list[Case] = [
    ("duplicate-key", replaced("  vendorName: Acme Inc.\n", "  vendorName: Acme Inc.\n  vendorName: Acme\n"), TEXT),
    ("extra-document", TEXT + "---\nmetadata: {}\n", "---\n" + TEXT + "...\n"),
    ("missing-section", replaced("metadata:\n", "meta:\n"), TEXT),
    ("wrong-type", replaced("platformVersion: '2.4'", "platformVersion: 2.4"), metadata(platformVersion="2.4.1")),
    ("wrong-type", replaced("platformVersion: '2.4'", "platformVersion: 1e3"), replaced("'2.4'", "12:30")),
    ("wrong-type", replaced("platformVersion: '2.4'", "platformVersion: 2026-01-02"), replaced("'2.4'", "yes")),
    ("wrong-type", gang(evidence=f"{DOCS}/kueue"), gang(evidence=[f"{DOCS}/kueue"])),
    ("wrong-type", gang(evidence=[{"Docs": f"{DOCS}/kueue"}]), gang(evidence=[f"{DOCS}/kueue?a: b"])),
    ("wrong-type", gang(notes=["one", "two"]), gang(notes=3)),
    ("wrong-type", {**VALID, "spec": {**VALID["spec"], "security": {"id": "x"}}}, VALID),
    ("misspelt-key", replaced("k8sConformanceUrl", "k8sConformanceURL"), replaced("anExtraField", "k8sConformance")),
    ("misspelt-key", replaced("notes: ''", "note: ''"), TEXT),
    ("missing-field", metadata(k8sConformanceUrl=None), metadata(repoUrl=None)),
    ("missing-field", metadata(websiteUrl=""), metadata(repoUrl="")),
    ("missing-field", metadata(description=" "), VALID),
    ("placeholder", metadata(platformName="[Platform Name]"), metadata(platformName="Acme [beta]")),
    ("placeholder", metadata(platformName="Turbo Encabulator"), metadata(platformName="Turbo Cloud")),
    ("placeholder", gang(evidence=["https://docs.vendor.com/gang"]), gang(evidence=["https://docs.vendor.de/gang"])),
    ("placeholder", gang(notes="Kueue. TODO: link the run"), gang(notes="Kueue runs a todo application.")),
    ("bad-email", metadata(contactEmailAddress="kubernetes at acme"), metadata(contactEmailAddress="a@b.io, c@d.io")),
    ("bad-email", metadata(contactEmailAddress="mailto:a@b.io"), metadata(contactEmailAddress="Ann <a@b.io>")),
    ("logo-format", metadata(productLogoUrl="https://a.io/logo.png"), metadata(productLogoUrl="https://a.io/x/logo.ai")),
    ("logo-format", metadata(productLogoUrl="https://a.io/l.svg?raw=true"), metadata(productLogoUrl="https://a.io/l.eps")),
    ("not-a-member", metadata(vendorName="Acme (member)"), metadata(vendorName="Acme (Group)")),
    ("bad-version", metadata(kubernetesVersion="latest"), metadata(kubernetesVersion="v1.36.0-rc.1")),
    ("version-mismatch", metadata(kubernetesVersion="v1.35"), metadata(kubernetesVersion="1.36.4")),
    ("version-mismatch", metadata(k8sConformanceUrl=f"{CONFORMANCE}/v1.35/acme"), VALID),
    ("bad-conformance-url", metadata(k8sConformanceUrl=f"{CONFORMANCE}/v1.36"), metadata(k8sConformanceUrl=f"{CONFORMANCE}/v1.36/a/")),
    ("bad-conformance-url", metadata(k8sConformanceUrl="https://github.com/acme/k8s-conformance/tree/master/v1.36/acme"), VALID),
    ("missing-category", replaced("schedulingOrchestration:", "scheduling_orchestration:"), TEXT),
    ("missing-requirement", replaced("- id: gang_scheduling", "- id: gang_schedulling"), TEXT),
    ("missing-requirement", moved(GANG, "operator"), moved(GANG, "schedulingOrchestration")),
    ("unknown-requirement", added({"id": "dra_support", "level": "MUST", "status": "Implemented", "evidence": ["a"]}), VALID),
    ("unknown-requirement", added({"description": "nameless"}), VALID),
    ("duplicate-requirement", added(answer(VALID, "robust_controller")), VALID),
    ("altered-level", gang(level="SHOULD"), gang(level="MUST ")),
    ("altered-description", gang(description="Some scheduler can be installed."), gang(description="  " + answer(VALID, GANG)["description"].replace(", ", ",\n").rstrip("."))),
    ("altered-description", gang(description=""), gang(description=answer(VALID, GANG)["description"] + "\n")),
    ("bad-status", gang(status="implemented"), gang(status="Implemented")),
    ("bad-status", with_answer(VALID, "gpu_sharing", status=""), with_answer(VALID, "gpu_sharing", status="", evidence=[])),
    ("must-not-implemented", gang(status=""), gang()),
    ("must-not-implemented", gang(status="Partially Implemented"), with_answer(VALID, "gpu_sharing", status="Partially Implemented")),
    ("na-on-must", with_answer(VALID, "pod_autoscaling", status="N/A"), with_answer(VALID, "cluster_autoscaling", status="N/A")),
    ("na-without-notes", with_answer(VALID, "gpu_sharing", status="N/A", notes=" "), with_answer(VALID, "gpu_sharing", status="N/A")),
    ("na-weak-reason", with_answer(VALID, "gpu_sharing", status="N/A", notes="Not applicable"), with_answer(VALID, "gpu_sharing", status="N/A", notes="Every node has one TPU slice, which cannot be divided.")),
    ("na-weak-reason", with_answer(VALID, "gpu_sharing", status="N/A", notes="The platform does not support it."), with_answer(VALID, "cluster_autoscaling", status="N/A", notes="The platform does not support autoscaling: bare metal.")),
    ("na-conditional", with_answer(VALID, "cluster_autoscaling", status="N/A"), VALID),
    ("partial-without-notes", with_answer(VALID, "gpu_sharing", status="Partially Implemented", notes=""), with_answer(VALID, "gpu_sharing", status="Partially Implemented")),
    ("no-evidence", gang(evidence=[]), with_answer(VALID, "gpu_sharing", status="Not Implemented", evidence=[])),
    ("no-evidence", gang(evidence=["", " "]), gang()),
    ("blank-evidence", gang(evidence=["", f"{DOCS}/kueue"]), gang()),
    ("evidence-file", gang(evidence=["evidence/gone.md"]), gang(evidence=["evidence/gang.md#part"])),
    ("evidence-file", gang(evidence=["See https://a.io/kueue"]), gang(evidence=["https://a.io/see/kueue"])),
    ("evidence-outside", gang(evidence=["../other/gang.md"]), gang(evidence=["evidence/../evidence/gang.md"])),
    ("evidence-outside", gang(evidence=["file://v1.36/other/gang.md"]), gang(evidence=["file://v1.36/acme/evidence/gang.md"])),
    ("evidence-other-submission", gang(evidence=["https://github.com/ann/k8s-ai-conformance/blob/x/v1.36/acme/gang.md"]), gang(evidence=["https://github.com/cncf/k8s-ai-conformance/blob/main/v1.36/acme/gang.md"])),
    ("evidence-other-submission", gang(evidence=["https://github.com/cncf/k8s-ai-conformance/blob/main/v1.35/acme/gang.md"]), VALID),
    ("evidence-other-submission", gang(evidence=["https://github.com/cncf/k8s-ai-conformance/tree/main/v1.36/zeta"]), VALID),
    ("evidence-reused", both(GANG, "ai_inference", evidence=[f"{DOCS}/features"]), both("accelerator_metrics", "ai_service_metrics", evidence=[f"{DOCS}/features"])),
    ("evidence-off-topic", gang(evidence=[f"{DOCS}/setup-envoy-gateway"]), gang(evidence=[f"{DOCS}/kuberay"])),
    ("evidence-off-topic", gang(evidence=["https://acme.cloud/pricing"]), gang(evidence=["https://acme.cloud/blog/2026/03"])),
    ("evidence-off-topic", with_answer(VALID, "robust_controller", evidence=[f"{DOCS}/dcgm"]), with_answer(VALID, "robust_controller", evidence=[f"{DOCS}/dcgm", f"{DOCS}/operators"])),
    ("evidence-too-broad", gang(evidence=["https://acme.cloud"]), gang(evidence=["https://acme.cloud/kueue"])),
    ("evidence-too-broad", gang(evidence=["https://kueue.sigs.k8s.io/docs/"]), gang(evidence=["https://kueue.sigs.k8s.io/docs/", f"{DOCS}/kueue"])),
    ("url-malformed", metadata(productLogoUrl=" https://acme.cloud/logo.svg"), VALID),
    ("url-malformed", gang(evidence=[f" {DOCS}/kueue"]), gang(evidence=[f"{DOCS}/kueue"])),
    ("url-malformed", gang(evidence=[f"{DOCS}/kueue, https://acme.cloud/gang"]), gang(evidence=["https://web.archive.org/web/2026/https://acme.cloud/gang"])),
    ("url-malformed", metadata(websiteUrl="www.acme.cloud"), metadata(websiteUrl="https://www.acme.cloud")),
    ("url-not-public", gang(evidence=["http://localhost:8080/gang"]), gang(evidence=["https://localhost.acme.cloud/gang"])),
    ("url-not-public", gang(evidence=["https://10.1.2.3/gang"]), gang(evidence=["https://8.8.8.8/gang"])),
    ("url-not-public", metadata(documentationUrl="https://wiki.acme.internal/x"), metadata(documentationUrl="https://internal.acme.cloud/x")),
    ("url-insecure", gang(evidence=["http://docs.acme.cloud/kueue"]), gang(evidence=["https://docs.acme.cloud/http://kueue"])),
    ("url-personal", gang(evidence=["https://gist.github.com/ann/123"]), gang(evidence=["https://github.com/acme/gist/blob/v1/gang.md"])),
    ("url-personal", gang(evidence=["https://github.com/janedoe/x/blob/v1/gang.md"]), gang(evidence=["https://github.com/kubernetes-sigs/kueue/blob/v1/gang.md", "https://github.com/acme-cloud/x/blob/v1/y"])),
    ("evidence-other-submission", gang(evidence=["https://github.com/ann/k8s-ai-conformance/blob/a/b/v1.36/acme/gang.md"]), gang(evidence=["https://github.com/cncf/k8s-ai-conformance/blob/main/faq.md"])),
    ("no-evidence", with_answer(VALID, "gpu_sharing", status="Implemented", evidence=[]), VALID),
    ("url-moving", gang(evidence=["https://github.com/acme/docs/blob/main/gang.md"]), gang(evidence=["https://github.com/acme/docs/blob/v2/main/gang.md"])),
    ("notes-contradict", gang(notes="This feature is not supported."), with_answer(VALID, "gpu_sharing", status="Not Implemented", notes="This feature is not supported.")),
    ("condition-not-met", with_answer(VALID, "cluster_autoscaling", notes="The platform does not provide a cluster autoscaler."), with_answer(VALID, "cluster_autoscaling", notes="The platform does not provide node pools; Karpenter scales nodes.")),
    ("notes-copied", both(GANG, "ai_inference", notes=LONG), both(GANG, "ai_inference", notes="See the evidence.")),
    ("no-notes", gang(notes=""), with_answer(VALID, "gpu_sharing", notes="")),
]  # fmt: skip
# Rule, then twice the files beside the questionnaire and the evidence of gang_scheduling: bad case, valid case.
ARTEFACTS: list[tuple[str, dict[str, str], list[str], dict[str, str], list[str]]] = [
    ("artifact-unreadable", {"junit.xml": "<testsuite/>"}, ["junit.xml"], {"junit.xml": PASSED}, ["junit.xml"]),
    ("artifact-unreadable", {"e2e.log": "all fine"}, ["e2e.log"], {"other.log": "all fine"}, ["other.log"]),
    ("artifact-unreadable", {"results.json": "{]"}, ["results.json"], {"results.json": '{"Action":"pass","Test":"TestGangScheduling"}'}, ["results.json"]),
    ("artifact-failing", {"junit.xml": PASSED.replace("/></", "/><testcase name='TestOther'><failure/></testcase></")}, ["junit.xml"], {"junit.xml": PASSED}, ["junit.xml"]),
    ("artifact-failing", {"results.json": '{"Action":"fail","Package":"p"}'}, ["evidence/gang.md"], {"results.json": '{"Action":"pass","Test":"TestGangScheduling"}'}, ["evidence/gang.md"]),
    ("artifact-test-absent", {"e2e.log": "--- PASS: TestOther (1s)"}, ["e2e.log"], {"e2e.log": "    --- PASS: TestGangScheduling/fits (1s)"}, ["e2e.log"]),
    ("artifact-test-skipped", {"e2e.log": "--- SKIP: TestGangScheduling (1s)"}, ["e2e.log"], {"e2e.log": "--- PASS: TestGangScheduling (1s)\n--- SKIP: TestOther (0s)"}, ["e2e.log"]),
    ("artifact-wrong-test", {"e2e.log": "--- PASS: TestOther (1s)"}, ["e2e.log#TestOther"], {"e2e.log": "--- PASS: TestGangScheduling (1s)"}, ["e2e.log#TestGangScheduling"]),
    ("artifact-disagree", {"junit.xml": PASSED, "e2e.log": "--- SKIP: TestGangScheduling (1s)"}, ["junit.xml"], {"junit.xml": PASSED, "e2e.log": "--- PASS: TestGangScheduling (1s)"}, ["junit.xml"]),
    ("artifact-disagree", {"e2e.log": "--- SKIP: TestGangScheduling (1s)\n--- PASS: TestGangScheduling (1s)"}, ["e2e.log"], {"e2e.log": "--- PASS: TestGangScheduling (1s)\n--- PASS: TestGangScheduling (2s)"}, ["e2e.log"]),
    ("artifact-advised", {}, ["evidence/gang.md"], {"junit.xml": PASSED}, ["junit.xml"]),
    ("artifact-renamed", {"sonobuoy.log": "--- PASS: TestGangScheduling (1s)"}, ["sonobuoy.log"], {"sonobuoy.log": "all fine"}, ["sonobuoy.log"]),
]  # fmt: skip


def rules_found(folder: Path, document: str | Document) -> dict[str, int]:
    path = save_questionnaire(folder, document)
    return {each.rule: each.line for each in lint_file(path, [requirements_of()])}


def of_rules(cases: Sequence[tuple[object, ...]]) -> list[object]:
    return [pytest.param(*case, id=f"{number}-{case[0]}") for number, case in enumerate(cases)]


@pytest.mark.parametrize(("rule", "bad", "valid"), of_rules(CASES))
def test_a_rule_reports_its_bad_case_and_not_a_similar_valid_one(
    tmp_path: Path, rule: str, bad: str | Document, valid: str | Document
) -> None:
    assert rule in rules_found(tmp_path, bad)
    assert rule not in rules_found(tmp_path, valid)


@pytest.mark.parametrize(("rule", "files", "cited", "other_files", "other_cited"), of_rules(ARTEFACTS))
def test_a_rule_for_artefacts_reports_its_bad_case_and_not_a_similar_valid_one(
    tmp_path: Path,
    rule: str,
    files: dict[str, str],
    cited: list[str],
    other_files: dict[str, str],
    other_cited: list[str],
) -> None:
    official = requirements_of("1.37")
    others = ("secure_accelerator_access", "cluster_autoscaling")
    document = with_answer(with_answer(NEXT, others[0], status="x"), others[1], status="x")
    found = []
    for product, beside, evidence in (("acme", files, cited), ("zeta", other_files, other_cited)):
        path = save_questionnaire(tmp_path, with_answer(document, GANG, evidence=evidence), "1.37", product)
        for name, text in beside.items():
            (path.parent / name).write_text(text)
        found.append({each.rule for each in lint_file(path, [official])})
    assert rule in found[0]
    assert rule not in found[1]


def test_every_rule_has_a_case_and_a_summary() -> None:
    elsewhere = {"unknown-version", "artifact-unmapped"}
    assert {rule.id for rule in RULES} == {case[0] for case in (*CASES, *ARTEFACTS)} | elsewhere
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.summary for rule in RULES)


def test_an_unknown_version_is_reported_until_its_template_is_given(tmp_path: Path) -> None:
    path = save_questionnaire(tmp_path, replaced("v1.36", "v1.44"), "1.44")
    assert "unknown-version" in {each.rule for each in lint_file(path)}
    later = tmp_path / "template.yaml"
    later.write_text(template("1.36").replace("v1.36", "v1.44"))
    assert "unknown-version" not in {each.rule for each in lint_file(path, [template_requirements(later)])}


def test_a_finding_has_the_line_and_column_of_the_value(tmp_path: Path) -> None:
    text = as_yaml(gang(status="implemented"))
    (finding,) = [
        each for each in lint_file(save_questionnaire(tmp_path, text), [requirements_of()]) if each.rule == "bad-status"
    ]
    line = text.splitlines()[finding.line - 1]
    assert line[finding.column - 1 :] == "implemented"
    assert finding.requirement == GANG
    assert finding.severity is Severity.ERROR
    assert finding.fix == "write Implemented"


@pytest.mark.parametrize("text", ["", "- 1\n", "metadata: [\n", "a: b: c", "\t- x", "metadata: !!binary ':'\n"])
def test_an_unreadable_document_gives_findings_about_the_document_only(tmp_path: Path, text: str) -> None:
    found = lint_file(save_questionnaire(tmp_path, text))
    assert found
    assert all(each.severity is Severity.ERROR for each in found if each.rule == NOT_YAML)
    assert {each.rule for each in found} <= {NOT_YAML, "missing-section", "wrong-type", "unknown-version"}


def test_an_altered_description_is_reported_without_a_template(tmp_path: Path) -> None:
    """Every description of this questionnaire is our own, so every one differs from the official text."""
    found = [each for each in lint_file(save_questionnaire(tmp_path, VALID)) if each.rule == "altered-description"]
    assert len(found) == sum(len(items) for items in VALID["spec"].values())


def test_a_vendor_that_is_not_in_the_landscape_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    path = save_questionnaire(tmp_path, VALID)
    known = {each.rule for each in lint_file(path, [requirements_of()], frozenset({"Acme Inc."}))}
    other = [
        each for each in lint_file(path, [requirements_of()], frozenset({"ACME INC."})) if each.rule == "not-a-member"
    ]
    assert "not-a-member" not in known
    assert other[0].fix == "did you mean 'ACME INC.'?"


def test_a_must_with_neither_evidence_nor_notes_is_an_error_and_a_should_is_not(tmp_path: Path) -> None:
    document = with_answer(gang(evidence=[], notes=" "), "gpu_sharing", status="Implemented", evidence=[], notes="")
    found = {
        each.requirement: each.severity
        for each in lint_file(save_questionnaire(tmp_path, document))
        if each.rule == "no-evidence"
    }
    assert found == {GANG: Severity.ERROR, "gpu_sharing": Severity.WARNING}


@pytest.mark.parametrize(("requirement", "test"), UNMAPPED_TESTS.items())
@pytest.mark.parametrize(
    ("cited", "result", "expected"),
    [
        (["e2e.log", DOCS], "PASS", {"artifact-unmapped": Severity.WARNING}),
        (["e2e.log#{test}", DOCS], "PASS", {}),
        (["e2e.log#{test}"], "PASS", {"artifact-unmapped": Severity.NOTE}),
        (["e2e.log#{test}", DOCS], "SKIP", {"artifact-test-skipped": Severity.ERROR}),
        (["e2e.log#TestGangScheduling", DOCS], "PASS", {"artifact-wrong-test": Severity.WARNING}),
    ],
)
def test_a_test_that_the_validator_does_not_look_for_yet_is_asked_for_by_its_name(
    tmp_path: Path, requirement: str, test: str, cited: list[str], result: str, expected: dict[str, Severity]
) -> None:
    evidence = [each.format(test=test) for each in cited]
    document = with_answer(NEXT, requirement, status="Implemented", evidence=evidence)
    path = save_questionnaire(tmp_path, document, "1.37", "acme")
    (path.parent / "e2e.log").write_text(f"--- {result}: {test} (1s)\n--- PASS: TestGangScheduling (1s)\n")
    found = {each.rule: each.severity for each in lint_file(path, [requirements_of("1.37")])}
    ours = ("artifact-unmapped", "artifact-wrong-test", "artifact-test-skipped", "artifact-test-absent")
    assert {rule: severity for rule, severity in found.items() if rule in ours} == expected
