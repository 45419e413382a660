"""A submission claims only what its bundle shows, keeps the template's text, and passes lint.

Only findings that the vendor alone can fix remain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.capabilities.bundle_reader import Bundle, open_bundle
from plimsoll.capabilities.probe import judge
from plimsoll.capabilities.requirements import MUST, VERSIONS, profile
from plimsoll.errors import FileError, PlimsollError
from plimsoll.evidence.bundle import check_seal, seal
from plimsoll.signing.keys import KeyRing
from plimsoll.submission.answers import RequirementAnswer
from plimsoll.submission.finding import Severity
from plimsoll.submission.linter import lint_file
from plimsoll.submission.submission_directory import (
    SuiteArtifacts,
    WrittenSubmission,
    read_metadata,
    read_suite_artifacts,
    require_intact,
    write_submission,
)
from plimsoll.submission.template import fill_template
from tests.capabilities.bundled import bundle_of
from tests.capabilities.recorded import FOLDER, Record, changed, recorded, with_values

from .questionnaires import Document, requirements_of, template

METADATA = {
    "platformName": 'Acme "Cloud"',
    "platformVersion": "1.10",
    "vendorName": "Acme Inc.",
    "websiteUrl": "https://acme.cloud",
    "documentationUrl": "https://docs.acme.cloud",
    "productLogoUrl": "https://acme.cloud/logo.svg",
    "description": "Kubernetes: for # everybody.",
    "contactEmailAddress": "kubernetes@acme.cloud",
}
FIELDS = re.compile(r"\s*(?:status|evidence|notes|\w+Url|\w+Name|\w+Version|description|contactEmailAddress):")
PARTLY = changed(recorded("gang_scheduling"), "case", with_values(bound=1), case="waits")
Make = Callable[..., tuple[WrittenSubmission, Path]]


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


@pytest.fixture
def make(tmp_path: Path, keys: KeyRing) -> Make:
    """Make a bundle and write a submission from it; return the result and the directory."""

    def make(
        version: str = "1.37",
        changes: dict[str, Record | None] | None = None,
        text: str | None = None,
        metadata: dict[str, str] | None = None,
        artifacts: dict[str, str] | None = None,
    ) -> tuple[WrittenSubmission, Path]:
        bundle = open_bundle(bundle_of(tmp_path / "checked", keys, f"cncf-{version}", changes), keys)
        official = tmp_path / "template.yaml"
        official.write_bytes((text or template(version)).encode())
        folder = tmp_path / "suite"
        folder.mkdir()
        for name, content in (artifacts or {}).items():
            (folder / name).write_text(content)
        url = f"https://github.com/cncf/k8s-conformance/tree/master/v{version}/acme"
        given = {**METADATA, "k8sConformanceUrl": url} if metadata is None else metadata
        output = tmp_path / f"v{version}" / "acme"
        artefacts = read_suite_artifacts(folder) if artifacts else SuiteArtifacts()
        return write_submission(bundle, official, given, artefacts, output), output

    return make


def answers_in(output: Path) -> dict[str, Document]:
    read = yaml.safe_load((output / "PRODUCT.yaml").read_text())
    return {each["id"]: each for items in read["spec"].values() for each in items}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_complete_bundle_gives_a_questionnaire_without_errors_or_warnings(
    tmp_path: Path, make: Make, version: str
) -> None:
    submission, output = make(version)
    levels = profile(f"cncf-{version}")
    left = {name for name, level in levels.items() if level == MUST and not (FOLDER / f"{name}.jsonl").is_file()}
    assert left <= {"dra_support"}
    assert submission.status == (3 if left else 0)
    assert submission.to_supply == ()
    assert [each for each in submission.findings if each.severity is not Severity.NOTE] == []
    given = answers_in(output)
    musts = {name for name, each in given.items() if each["status"] == "Implemented" and levels[name] == MUST}
    assert musts == {name for name, level in levels.items() if level == MUST} - left
    official = requirements_of(version)
    found = [each for each in lint_file(output / "PRODUCT.yaml", [official]) if each.severity is not Severity.NOTE]
    assert {each.requirement for each in found} == left


def test_only_filled_in_fields_differ_from_the_template(make: Make) -> None:
    text = template("1.36")
    _, output = make("1.36", text=text)
    written = (output / "PRODUCT.yaml").read_text().splitlines()
    kept = iter(written)
    for line in text.splitlines():
        if not FIELDS.match(line):
            assert line in kept, line
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert [one for one in comments if one not in {line.partition("#")[2] for line in written}] == []


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), str.rstrip, lambda text: "\ufeff" + text])
def test_line_ends_the_last_line_and_a_byte_order_mark_are_kept(make: Make, change: Callable[[str], str]) -> None:
    text = change(template("1.36"))
    submission, output = make("1.36", text=text)
    written = (output / "PRODUCT.yaml").read_bytes().decode()
    assert written.startswith(text[:20])
    assert written.count("\r\n") == (written.count("\n") if "\r\n" in text else 0)
    assert submission.status == 0
    assert answers_in(output)["gang_scheduling"]["status"] == "Implemented"


def test_the_missing_conformance_field_is_added_and_metadata_to_supply_is_listed(make: Make) -> None:
    submission, output = make(metadata={"vendorName": "Acme Inc."})
    metadata = yaml.safe_load((output / "PRODUCT.yaml").read_text())["metadata"]
    assert metadata["vendorName"] == "Acme Inc."
    assert metadata["repoUrl"] == ""
    assert metadata["k8sConformanceUrl"].startswith("[")
    assert len(submission.to_supply) == 8
    assert {each.rule for each in submission.to_supply} == {"placeholder"}


def test_notes_have_the_figure_the_time_and_the_namespace_of_the_record(make: Make) -> None:
    _, output = make()
    gang = answers_in(output)["gang_scheduling"]
    record = recorded("gang_scheduling")
    assert judge("gang_scheduling", record).figure in gang["notes"]
    assert f"{record[0].at:%Y-%m-%d %H:%M:%S}" in gang["notes"]
    assert f"namespace {record[0].fact['name']}" in gang["notes"]
    assert f"{len(record)} observations" in gang["notes"]
    for each in gang["evidence"]:
        assert (output / each).is_file()
    page = (output / "evidence" / "gang_scheduling.md").read_text()
    assert "kueue-filler" in page


def test_the_bundle_in_the_submission_is_as_it_was_signed(make: Make, keys: KeyRing) -> None:
    _, output = make()
    assert check_seal(output / "bundle", keys).problems == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (PARTLY, f"fail; {judge('gang_scheduling', PARTLY).figure}"),
        (None, "skipped; there is no record of it"),
        (recorded("gang_scheduling")[:-1], "skipped; the probe was not run to its end"),
    ],
    ids=["fails", "no-record", "not-ended"],
)
def test_a_requirement_that_was_not_shown_stays_blank_with_the_reason(
    make: Make, change: Record | None, message: str
) -> None:
    submission, output = make(changes={"gang_scheduling": change})
    gang = answers_in(output)["gang_scheduling"]
    assert (gang["status"], gang["evidence"], gang["notes"]) == ("", [], "")
    assert f"# plimsoll: {message}" in (output / "PRODUCT.yaml").read_text()
    assert submission.status == 3
    assert not (output / "evidence" / "gang_scheduling.md").exists()
    assert answers_in(output)["ai_inference"]["status"] == "Implemented"


def decided(outcome: str, cause: str) -> Record:
    fact = {"event": "decided", "outcome": outcome, "cause": cause}
    first = recorded("cluster_autoscaling")[0]
    return (type(first)(at=first.at, source="check", subject="x", fact=fact),)


def test_a_condition_that_does_not_hold_gives_n_a_only_where_the_programme_accepts_it(make: Make) -> None:
    changes = {name: decided("not-applicable", "no autoscaler") for name in ("cluster_autoscaling", "pod_autoscaling")}
    submission, output = make(changes=changes)
    given = answers_in(output)
    assert given["cluster_autoscaling"]["status"] == "N/A"
    assert "condition does not hold: no autoscaler" in given["cluster_autoscaling"]["notes"]
    assert given["pod_autoscaling"]["status"] == ""
    assert submission.status == 3


def test_an_altered_bundle_is_refused(tmp_path: Path, keys: KeyRing) -> None:
    folder = bundle_of(tmp_path / "checked", keys)
    record = folder / "probes" / "gang_scheduling.jsonl"
    record.write_bytes(record.read_bytes().replace(b'"bound":0', b'"bound":2'))
    with pytest.raises(PlimsollError, match="not as it was signed"):
        submission_from(open_bundle(folder, keys), tmp_path)


def test_a_bundle_with_a_verdict_that_contradicts_its_record_is_refused(tmp_path: Path, keys: KeyRing) -> None:
    """A new signature does not help, because verdicts are computed from the records."""
    folder = bundle_of(tmp_path / "checked", keys, changes={"gang_scheduling": PARTLY})
    verdicts = folder / "verdicts.json"
    verdicts.write_bytes(verdicts.read_bytes().replace(b'"fail"', b'"pass"'))
    seal(folder, {}, keys)
    with pytest.raises(PlimsollError, match="gang_scheduling comes out otherwise"):
        submission_from(open_bundle(folder, keys), tmp_path)


def submission_from(bundle: Bundle, folder: Path, text: str | None = None) -> WrittenSubmission:
    official = folder / "template.yaml"
    official.write_text(text or template(bundle.version))
    return write_submission(bundle, official, METADATA, SuiteArtifacts(), folder / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (template("1.36"), "the template is for 1.36, but the bundle was judged by cncf-1.37"),
        (template("1.36").replace("v1.36", "v1.37"), "this is not the template of 1.37"),
        (template("1.37").replace('status: ""', 'status: "Implemented"'), "is already answered"),
        (template("1.37").replace('status: ""   # one of four', "status:\n"), "does not have its value on one line"),
        (
            "metadata: {kubernetesVersion: v1.37}\nspec: {a: [x, {id: y, level: MUST}]}\n",
            "this is not the template of 1.37",
        ),
        ("spec: 1\n", "this is not an official template"),
    ],
)
def test_an_unsuitable_template_is_refused_and_nothing_is_written(
    tmp_path: Path, keys: KeyRing, text: str, message: str
) -> None:
    bundle = open_bundle(bundle_of(tmp_path / "checked", keys), keys)
    with pytest.raises(FileError, match=re.escape(message)):
        submission_from(bundle, tmp_path, text)
    assert {each.name for each in tmp_path.iterdir()} == {"checked", "keys", "template.yaml"}


def test_a_directory_with_content_is_refused_and_an_empty_one_is_used(tmp_path: Path, keys: KeyRing) -> None:
    bundle = open_bundle(bundle_of(tmp_path / "checked", keys), keys)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(FileError, match="a directory of its own"):
        submission_from(bundle, tmp_path)
    (tmp_path / "out" / "mine").unlink()
    assert submission_from(bundle, tmp_path).output


OFFICIAL = {
    "junit.xml": '<testsuite><testcase name="TestGangScheduling"/>'
    '<testcase name="TestSecureAcceleratorAccess"><skipped/></testcase></testsuite>',
    "e2e.log": "--- PASS: TestGangScheduling (3.0s)\n--- SKIP: TestSecureAcceleratorAccess (0.0s)\n",
}


def test_official_artefacts_are_copied_unchanged_and_their_results_are_in_the_notes(make: Make) -> None:
    submission, output = make(artifacts=OFFICIAL)
    assert submission.artifacts["junit.xml"] == {"passed": 1, "skipped": 1}
    assert (output / "junit.xml").read_text() == OFFICIAL["junit.xml"]
    given = answers_in(output)
    assert given["gang_scheduling"]["evidence"][2:] == ["junit.xml#TestGangScheduling", "e2e.log#TestGangScheduling"]
    assert "Results of TestGangScheduling in the official suite" in given["gang_scheduling"]["notes"]
    assert not [each for each in given["secure_accelerator_access"]["evidence"] if "junit" in each]
    assert "junit.xml: skipped" in given["secure_accelerator_access"]["notes"]
    assert [each for each in submission.findings if each.severity is not Severity.NOTE] == []


def test_a_requirement_whose_official_test_failed_stays_blank(make: Make) -> None:
    failing = {"junit.xml": '<testsuite><testcase name="TestGangScheduling"><failure/></testcase></testsuite>'}
    submission, output = make(artifacts=failing)
    assert submission.refused == {"junit.xml": "it has failed tests: TestGangScheduling"}
    assert submission.status == 3
    assert answers_in(output)["gang_scheduling"]["status"] == ""
    assert not (output / "junit.xml").exists()


def test_an_unreadable_artefact_is_refused_with_the_reason(make: Make) -> None:
    submission, output = make(artifacts={"results.json": "no json"})
    assert "line 1 is not an event" in submission.refused["results.json"]
    assert submission.status == 3
    assert not (output / "results.json").exists()


def test_metadata_come_from_a_file_and_from_pairs_in_both_spellings(tmp_path: Path) -> None:
    path = tmp_path / "metadata.yaml"
    path.write_text("metadata:\n  vendor_name: Acme\n  platformVersion: 1.10\n")
    found = read_metadata(path, ("websiteUrl=https://a.io/?a=b", "vendorName=Zeta"))
    assert found == {"vendorName": "Zeta", "platformVersion": "1.10", "websiteUrl": "https://a.io/?a=b"}
    with pytest.raises(FileError, match="unknown metadata field 'vendor'"):
        read_metadata(None, ("vendor=x",))
    with pytest.raises(FileError, match="expected KEY=VALUE"):
        read_metadata(None, ("vendorName",))


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=25, deadline=None)
@given(texts, texts, texts, st.lists(texts, max_size=3))
def test_every_filled_in_text_is_the_same_when_read_again(name: str, notes: str, why: str, evidence: list[str]) -> None:
    given_answers = [
        RequirementAnswer(
            requirement="gang_scheduling",
            level=MUST,
            status="Implemented",
            notes=f"A. {notes}",
            evidence=tuple(evidence),
        ),
        RequirementAnswer(requirement="ai_inference", level=MUST, why=why),
    ]
    printable = "".join(sign for sign in name if sign.isprintable())
    text = fill_template(template("1.37"), given_answers, {"vendorName": printable})
    read = yaml.load(text, yaml.CSafeLoader)
    assert read["metadata"]["vendorName"] == printable
    gang = next(each for each in read["spec"]["schedulingOrchestration"] if each["id"] == "gang_scheduling")
    assert gang["evidence"] == evidence
    assert gang["notes"].startswith("A.")
    other = next(each for each in read["spec"]["networking"] if each["id"] == "ai_inference")
    assert other["status"] == ""
    assert other["notes"] == ""


def test_a_test_that_the_validator_does_not_look_for_is_cited_by_name_where_the_suite_ran_it(make: Make) -> None:
    passed = {**OFFICIAL, "e2e.log": OFFICIAL["e2e.log"] + "--- PASS: TestRobustCRDControllerOperation (9.0s)\n"}
    submission, output = make("1.37", artifacts=passed)
    given = answers_in(output)
    assert given["robust_controller"]["evidence"][2:] == ["e2e.log#TestRobustCRDControllerOperation"]
    assert "e2e.log: passed" in given["robust_controller"]["notes"]
    assert "TestAIServiceMetrics" not in given["ai_service_metrics"]["notes"]
    assert [each for each in submission.findings if each.rule == "artifact-unmapped"] == []


def test_a_should_that_is_not_installed_is_not_implemented_and_a_must_stays_open(make: Make) -> None:
    absent = decided("not-implemented", "there is no such thing")
    submission, output = make("1.37", changes={"gpu_sharing": absent, "gang_scheduling": absent})
    given = answers_in(output)
    assert (given["gpu_sharing"]["status"], given["gpu_sharing"]["notes"]) == (
        "Not Implemented",
        "There is no such thing.",
    )
    assert given["gang_scheduling"]["status"] == ""
    assert [each for each in submission.findings if each.requirement == "gpu_sharing"] == []


def test_a_bundle_of_tenants_answers_no_questionnaire_of_the_programme(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    bundle = open_bundle(bundle_of(tmp_path / "bundle", keys), keys)
    require_intact(bundle)
    with pytest.raises(PlimsollError, match="no requirement of the profile tenants") as refused:
        require_intact(msgspec.structs.replace(bundle, profile="tenants"))
    assert "cncf-1.37" in refused.value.hint
