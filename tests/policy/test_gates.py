from __future__ import annotations

from typing import Any

import pytest

from plimsoll.application.policies import Images, SupplyChain, Vulnerabilities
from plimsoll.policy.facts import (
    BundleFacts,
    EnvironmentFacts,
    Facts,
    FileFacts,
    ImageFacts,
    LaterFacts,
    PackageFacts,
    SourceFacts,
    VulnerabilityFacts,
)
from plimsoll.policy.findings import PolicyRefused, require_passed
from plimsoll.policy.gates.origins import matches

from .facts import PROVENANCE, SBOM, brought, judged, model, verdicts

ALL = SupplyChain(require=("signed", "provenance", "sbom", "scanned"))
DIGEST = "@sha256:" + "e" * 64


def test_a_version_with_everything_passes_every_gate() -> None:
    found = judged(ALL, Facts(models=(model(),)))
    assert verdicts(found) == [(gate, "passed") for gate in ("signed", "provenance", "sbom", "scanned")]
    require_passed(found, "the run")


@pytest.mark.parametrize(
    ("changes", "gate", "verdict", "reason"),
    [
        ({"signed_by": "", "signature": "no trusted key"}, "signed", "broken", "no trusted key"),
        ({"provenance": None}, "provenance", "broken", "it has no provenance"),
        ({"provenance": {"x": 1}}, "provenance", "broken", "not of SLSA v1"),
        ({"run": "run-2"}, "provenance", "broken", "is of run run-1"),
        ({"data": {"rows.csv": "a", "more.csv": "b"}}, "provenance", "broken", "does not name more.csv"),
        ({"sbom": None, "sbom_problem": "it was altered"}, "sbom", "broken", "it was altered"),
        ({"version": 3}, "sbom", "broken", "is about triage@2"),
        ({"sbom": {**SBOM, "components": []}}, "sbom", "broken", "does not list rows.csv, train.py"),
        ({"sbom": {"metadata": "odd"}}, "sbom", "broken", "not of CycloneDX"),
        ({"files": None}, "scanned", "unknown", "were not scanned"),
        ({"files": (FileFacts(path="m.pkl", verdict="unsafe", reasons=("os.system",)),)}, "scanned", "broken", "os.s"),
        ({"files": (FileFacts(path="m.h5", verdict="unknown"),)}, "scanned", "unknown", "it is unknown"),
    ],
)
def test_each_lack_of_a_version_is_found_by_its_gate(
    changes: dict[str, Any], gate: str, verdict: str, reason: str
) -> None:
    found = judged(ALL, Facts(models=(model(**changes),)))
    (bad,) = [each for each in found if each.gate == gate]
    assert bad.verdict == verdict
    assert reason in bad.reason
    assert bad.remedy
    assert bad.where == "plimsoll.yaml:9:5"
    with pytest.raises(PolicyRefused, match="policies forbid the run"):
        require_passed(found, "the run")


def test_a_bill_that_leaves_packages_out_is_unknown_unless_the_model_was_brought() -> None:
    gap = [{"name": "plimsoll:packages", "value": "not known: it was made in an image"}]
    bill = {**SBOM, "metadata": {**SBOM["metadata"], "properties": gap}}
    chain = SupplyChain(require=("sbom",))
    assert verdicts(judged(chain, Facts(models=(model(sbom=bill),)))) == [("sbom", "unknown")]
    own = brought("pypi:acme-model==1#*.onnx", "MIT")
    changed = model(sbom=bill, origin=own.origin)
    assert verdicts(judged(chain, Facts(models=(changed,)))) == [("sbom", "passed")]


def test_an_unsigned_gate_says_nothing_of_provenance_that_is_there() -> None:
    assert judged(SupplyChain(licences=("MIT",)), Facts(models=(model(provenance=PROVENANCE),))) == ()


def test_what_is_registered_later_is_no_pass_and_does_not_stop() -> None:
    later = LaterFacts(name="triage", until="register/triage", used_by=("serve/triage",), place="plimsoll.yaml:9:5")
    found = judged(ALL, Facts(later=(later,)))
    assert verdicts(found) == [("signed, provenance, sbom, scanned", "later")]
    assert "judged after register/triage, before serve/triage" in found[0].reason
    require_passed(found, "the run")


def package(severity: str = "", verdict: str = "vulnerable", **changes: Any) -> PackageFacts:
    bad = VulnerabilityFacts(id="GHSA-1", severity=severity, aliases=("CVE-2026-1",), fixed=("2.1",), **changes)  # type: ignore[arg-type]
    return PackageFacts(
        name="pump",
        version="2.0",
        licence="MIT",
        verdict=verdict,  # type: ignore[arg-type]
        vulnerabilities=(bad,) if severity else (),
    )


def environment(*packages: PackageFacts, **changes: Any) -> Facts:
    return Facts(environment=EnvironmentFacts(name="python", place="plimsoll.yaml:4:3", packages=packages, **changes))


@pytest.mark.parametrize(
    ("most", "severity", "verdict"),
    [
        ("none", "low", "broken"),
        ("low", "low", "passed"),
        ("medium", "high", "broken"),
        ("high", "high", "passed"),
        ("high", "critical", "broken"),
        ("critical", "critical", "passed"),
        ("high", "not told", "unknown"),
        ("critical", "not told", "passed"),
    ],
)
def test_a_vulnerability_is_held_against_the_worst_that_is_allowed(most: Any, severity: str, verdict: str) -> None:
    chain = SupplyChain(vulnerabilities=Vulnerabilities(database="osv", most=most))
    assert verdicts(judged(chain, environment(package(severity)))) == [("vulnerabilities", verdict)]


def test_an_accepted_vulnerability_passes_with_its_reason_under_any_of_its_names() -> None:
    chain = SupplyChain(vulnerabilities=Vulnerabilities(database="osv", accepted={"CVE-2026-1": "not reachable"}))
    (found,) = judged(chain, environment(package("critical")))
    assert (found.verdict, found.reason.endswith("accepted: not reachable")) == ("passed", True)


def test_a_package_of_which_nothing_is_known_is_unknown_and_stops() -> None:
    chain = SupplyChain(vulnerabilities=Vulnerabilities(database="osv", most="critical"))
    own = Vulnerabilities(database="osv", accepted={"pump": "our own"})
    (accepted,) = judged(SupplyChain(vulnerabilities=own), environment(package(verdict="unknown")))
    assert (accepted.verdict, accepted.reason.endswith("accepted: our own")) == ("passed", True)
    (bad,) = judged(SupplyChain(vulnerabilities=own), environment(package("low")))
    assert bad.verdict == "broken", "what an advisory tells of is not accepted by the name of its package"
    found = judged(chain, environment(package(verdict="unknown"), package(verdict="clean")))
    assert verdicts(found) == [("vulnerabilities", "unknown"), ("vulnerabilities", "passed")]
    with pytest.raises(PolicyRefused, match="it is not known whether it holds"):
        require_passed(found, "the run")


def test_an_environment_whose_packages_nobody_reads_is_unknown_and_one_that_is_made_later_comes_later() -> None:
    chain = SupplyChain(vulnerabilities=Vulnerabilities(database="osv"))
    unread = EnvironmentFacts(name="image", place="p:1:1", gap="the packages of the image are not read")
    assert verdicts(judged(chain, Facts(environment=unread))) == [("vulnerabilities", "unknown")]
    later = EnvironmentFacts(name="r.txt", place="p:1:1", gap="not made", until="environment/r.txt")
    assert verdicts(judged(chain, Facts(environment=later))) == [("vulnerabilities", "later")]
    assert judged(chain, Facts()) == ()


@pytest.mark.parametrize(
    ("licence", "verdict"),
    [
        ("MIT", "passed"),
        ("MIT License", "passed"),
        ("GPL-3.0-only", "broken"),
        ("", "unknown"),
        ("MIT OR GPL-3.0-only", "passed"),
    ],
)
def test_the_licence_of_a_brought_model_is_one_that_is_allowed(licence: str, verdict: str) -> None:
    chain = SupplyChain(licences=("MIT", "Apache-2.0"))
    found = judged(chain, Facts(models=(brought("./model.onnx", licence),)))
    assert verdicts(found) == [("licences", verdict)]


def test_a_licence_that_bringing_finds_is_judged_after_it() -> None:
    source = SourceFacts(model="triage", source="pypi:acme==1#*.onnx", place="plimsoll.yaml:7:5")
    found = judged(SupplyChain(licences=("MIT",)), Facts(sources=(source,)))
    assert verdicts(found) == [("licences", "later")]


@pytest.mark.parametrize(
    ("pattern", "source", "allowed"),
    [
        ("pypi:acme-*", "pypi:acme-models==1#*.onnx", True),
        ("pypi:acme-*", "pypi:evil==1#acme-*", False),
        ("https://models.example/*", "https://models.example/a/b.onnx", True),
        ("https://models.example/*", "https://models.example.evil/a.onnx", False),
        ("https://models.example/*", "https://models.example/../../evil.onnx", False),
        ("models/*", "models/../secret.onnx", False),
        ("pypi:acme", "pypi:acme2", False),
        ("pypi:a+c", "pypi:aac", False),
    ],
)
def test_an_origin_matches_as_a_whole(pattern: str, source: str, allowed: bool) -> None:
    assert matches(pattern, source) is allowed
    verdict = "passed" if allowed else "broken"
    facts = Facts(sources=(SourceFacts(model="triage", source=source, place="p:1:1"),))
    assert verdicts(judged(SupplyChain(origins=(pattern,)), facts)) == [("origins", verdict)]


@pytest.mark.parametrize(
    ("image", "verdict"),
    [
        (f"registry.example/shop/train{DIGEST}", "passed"),
        (f"registry.example/shop/train:1.0{DIGEST}", "passed"),
        ("registry.example/shop/train:1.0", "broken"),
        ("registry.example/shop/train@sha256:abc", "broken"),
        (f"registry.example/shop.evil/train{DIGEST}", "broken"),
        (f"registry.example.evil/shop/train{DIGEST}", "broken"),
        (f"evil.example/registry.example/shop/train{DIGEST}", "broken"),
        (f"train{DIGEST}", "broken"),
    ],
)
def test_an_image_is_pinned_and_from_an_allowed_registry(image: str, verdict: str) -> None:
    chain = SupplyChain(images=Images(registries=("registry.example/shop",)))
    facts = Facts(images=(ImageFacts(image=image, of="environment", place="plimsoll.yaml:4:10"),))
    assert verdicts(judged(chain, facts)) == [("images", verdict)]


def test_a_bundle_is_signed_and_unaltered() -> None:
    chain = SupplyChain(require=("signed",))
    good = BundleFacts(path="evidence", signed_by="f" * 64)
    assert verdicts(judged(chain, Facts(bundles=(good,)))) == [("signed", "passed")]
    for bad in (
        BundleFacts(path="evidence", signed_by=""),
        BundleFacts(path="evidence", signed_by="f" * 64, problems=("a.json: altered",)),
    ):
        assert verdicts(judged(chain, Facts(bundles=(bad,)))) == [("signed", "broken")]
