"""A version that breaks a policy is not promoted, rolled back to, or handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.engine.policies.admission import require_admitted
from plimsoll.engine.promotion.promoting import AT_ONCE, promote
from plimsoll.engine.promotion.rollback import rollback
from plimsoll.errors import FileError
from plimsoll.policy.findings import PolicyRefused
from plimsoll.registry.versions import ModelVersion
from plimsoll.targets.models import model_registry
from plimsoll.targets.supplies import attest
from tests.engine.promotion_in_memory import MoverInMemory, Place, register

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  policies: {supply-chain: {require: [REQUIRE]}}
"""


def wanted(directory: Path, require: str) -> None:
    (directory / "plimsoll.yaml").write_text(FILE.replace("REQUIRE", require))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Versions 1 and 2 are registered without statements, version 1 serves."""
    place = Place(tmp_path, MoverInMemory())
    register(place.state)
    register(place.state)
    return place


def stated(place: Place, reference: str) -> ModelVersion:
    """The version, with statements."""
    registry = model_registry(place.state)
    version = registry.find(reference)
    attest(registry, version, "", place.state.application)
    return version


def test_a_version_without_provenance_is_not_promoted_and_no_request_moves(tmp_path: Path, place: Place) -> None:
    wanted(tmp_path, "signed, provenance")
    with pytest.raises(
        PolicyRefused, match=r"policies forbid the promotion of triage@2: provenance: triage@2: it has no"
    ) as refused:
        promote(place.target, "triage@2", service=None, pace=AT_ONCE, say=lambda _: None)
    assert "plimsoll run --force register/triage" in refused.value.hint
    assert place.mover.done == []

    stated(place, "triage@2")
    assert promote(place.target, "triage@2", service=None, pace=AT_ONCE, say=lambda _: None).promoted
    place.mover.done.clear()
    with pytest.raises(PolicyRefused, match="policies forbid the rollback to triage@1"):
        rollback(place.target, "triage", reference="triage@1", say=lambda _: None)
    assert "add" not in place.mover.done


def test_forcing_a_promotion_does_not_go_past_a_policy(tmp_path: Path, place: Place) -> None:
    wanted(tmp_path, "sbom")
    forced = AT_ONCE.__class__(steps=(100,), forced=True)
    with pytest.raises(PolicyRefused):
        promote(place.target, "triage@2", service=None, pace=forced, say=lambda _: None)


def test_a_statement_that_was_altered_is_no_statement(tmp_path: Path, place: Place) -> None:
    wanted(tmp_path, "provenance")
    version = stated(place, "triage@2")
    require_admitted(place.state, [version], "it")
    registry = model_registry(place.state)
    for entry in registry.attestations(version):
        if entry.annotations.get("in-toto.io/predicate-type", "").startswith("https://slsa.dev"):
            layer = registry.layout.manifest(entry, "it").layers[0]
            path = registry.layout.path(layer.digest)
            path.chmod(0o600)
            path.write_bytes(path.read_bytes().replace(b"payload", b"Payload"))
    with pytest.raises(PolicyRefused, match="provenance"):
        require_admitted(place.state, [version], "it")


def test_the_files_of_a_version_are_looked_at(tmp_path: Path, place: Place) -> None:
    wanted(tmp_path, "scanned")
    registry = model_registry(place.state)
    version = registry.find("triage@2")
    # What is no ONNX is not known to hold only data.
    with pytest.raises(PolicyRefused, match=r"scanned: model.onnx of triage@2"):
        require_admitted(place.state, [version], "it")


def test_a_file_that_cannot_be_read_lets_nothing_pass(tmp_path: Path, place: Place) -> None:
    (tmp_path / "plimsoll.yaml").write_text("spec: [")
    with pytest.raises(FileError):
        promote(place.target, "triage@2", service=None, pace=AT_ONCE, say=lambda _: None)


def test_without_policies_nothing_is_asked(tmp_path: Path, place: Place) -> None:
    assert promote(place.target, "triage@2", service=None, pace=AT_ONCE, say=lambda _: None).promoted
