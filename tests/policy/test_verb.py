"""`plimsoll policy`: what it judges, what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from plimsoll.cli.verbs.policy import command
from plimsoll.errors import FileError, PlimsollError
from plimsoll.evidence.bundle import seal
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from tests.engine.promotion_in_memory import register

from .cluster_objects import cheated, fine, pod, workload

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n"
PODS = "{supply-chain: {images: {registries: [registry.example/shop]}}, pods: restricted}"


def write(directory: Path, policies: str) -> None:
    (directory / "plimsoll.yaml").write_text(f"{HEAD}  policies: {policies}\n  datasets: {{}}\n")


def called(*words: str) -> Result:
    result = CliRunner().invoke(command, [*words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def manifests(path: Path, *documents: Any) -> None:
    path.write_text("# made by hand\n" + "---\n".join(yaml.safe_dump(each) for each in documents))


def test_manifests_are_judged_with_the_place_of_each_object(tmp_path: Path) -> None:
    write(tmp_path, PODS)
    good, bad = pod(fine("nothing changed")), workload("CronJob", cheated("a tag")[0])
    manifests(tmp_path / "good.yaml", good)
    manifests(tmp_path / "all.yaml", good, {"kind": "Service", "apiVersion": "v1"}, bad)
    assert called("check", "good.yaml").return_value == 0
    found = called("check", "all.yaml")
    assert found.return_value == 1
    lines = (tmp_path / "all.yaml").read_text().splitlines()
    at = max(number for number, line in enumerate(lines, start=1) if line == "---") + 1
    assert f"at all.yaml:{at}:1" in found.output
    assert "images-pinned: CronJob train-…" in found.output
    answer = json.loads(called("check", "all.yaml", "--json").output)
    assert answer["counts"]["broken"] == 1
    assert answer["findings"][0]["where"] == f"all.yaml:{at}:1"


def test_lists_and_directories_of_manifests_are_judged_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, PODS)
    (tmp_path / "deploy" / "more").mkdir(parents=True)
    bad = workload("JobSet", cheated("a path of the node")[0])
    manifests(tmp_path / "deploy" / "a.yaml", pod(fine("nothing changed")))
    (tmp_path / "deploy" / "more" / "b.json").write_text(json.dumps({"kind": "List", "items": [bad]}))
    found = called("check", "deploy")
    assert found.return_value == 1
    assert "at deploy/more/b.json:1:1" in found.output


def test_what_the_policies_ask_nothing_about_is_no_pass(tmp_path: Path) -> None:
    write(tmp_path, PODS)
    manifests(tmp_path / "service.yaml", {"kind": "Service", "apiVersion": "v1"})
    found = called("check", "service.yaml")
    assert found.return_value == 3
    assert "which is no pass" in found.output


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"a: [", "a.yaml:2:1"),
        ("a.yaml", b"kind: Pod\n---\n\nx: {\n", "a.yaml:5:1"),
        ("a.yaml", b"- 1\n", "expected a Kubernetes object"),
        ("a.yaml", b"", "there is no Kubernetes object"),
        ("a.yaml", b"\xff\xfe", "not UTF-8"),
        ("a.yaml", b"a: &a [1]\nb: " + b"[*a, *a, *a]\n" * 1 + b"kind: 5\n", "expected a Kubernetes object"),
        ("a.txt", b"x", "no policies for this kind of file"),
        ("./none.yaml", None, "cannot be read"),
        ("no/such.txt", None, "there is no such file"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    write(tmp_path, PODS)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError) as refused:
        called("check", name)
    assert words in str(refused.value)


def test_a_version_is_judged_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, "{supply-chain: {require: [signed, provenance]}}")
    register(StateDirectory(tmp_path))
    found = called("check", "triage@1")
    assert found.return_value == 1
    assert "signed: triage@1: key" in found.output
    assert "provenance: triage@1: it has no provenance" in found.output
    with pytest.raises(PlimsollError, match="there is no model 'other'"):
        called("check", "other")


def test_a_bundle_is_judged_by_its_seal(tmp_path: Path) -> None:
    write(tmp_path, "{supply-chain: {require: [signed]}}")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "a.json").write_text("{}")
    seal(tmp_path / "evidence", {"cluster": "c"}, KeyRing.default())
    assert called("check", "evidence").return_value == 0
    (tmp_path / "evidence" / "a.json").write_text("{1}")
    found = called("check", "evidence")
    assert found.return_value == 1
    assert "a.json: altered" in found.output


def test_a_file_without_policies_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text(f"{HEAD}  datasets: {{}}\n")
    with pytest.raises(FileError, match="the file has no policies"):
        called("check")


def test_the_document_of_rules_is_printed(tmp_path: Path) -> None:
    write(tmp_path, PODS)
    manifests(tmp_path / "good.yaml", pod(fine("nothing changed")))
    document = json.loads(called("input", "good.yaml", "--json").output)
    assert document["version"] == "plimsoll.dev/policy/v1"
    assert document["objects"][0]["object"]["kind"] == "Pod"
    assert json.loads(called("input", "good.yaml").output) == document


def test_rendered_objects_are_manifests_that_keep_the_policies(tmp_path: Path) -> None:
    write(tmp_path, PODS)
    for form, kinds in (
        ("admission-policy", ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        ("gatekeeper", ["ConstraintTemplate", "PlimsollPods"]),
    ):
        text = called("render", "--namespace", "shop", "--form", form).output
        assert [each["kind"] for each in yaml.safe_load_all(text)] == kinds
        (tmp_path / "rendered.yaml").write_text(text)
        assert called("check", "rendered.yaml").return_value == 3


def test_clauses_are_printed_with_what_is_not_covered() -> None:
    assert "Art. 12(1)" in called("map", "eu-ai-act").output
    assert "not covered" in called("map").output
    frameworks = json.loads(called("map", "--json").output)["frameworks"]
    assert [each["name"] for each in frameworks] == ["nist-ai-rmf", "iso-42001", "eu-ai-act", "gdpr"]
