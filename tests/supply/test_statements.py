from __future__ import annotations

import importlib.metadata
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plimsoll.errors import ModelRefused
from plimsoll.registry.attestations import add_attestation, read_attestation
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import AdapterOf, Lineage, ModelVersion
from plimsoll.signing.keys import KeyRing
from plimsoll.supply import provenance
from plimsoll.supply.cyclonedx import PREDICATE, cyclonedx
from plimsoll.supply.inventory import Inventory, of_environment, of_model
from plimsoll.supply.packages import Package, installed
from plimsoll.supply.spdx import spdx
from plimsoll.targets.supplies import OWN_PYTHON, packages_of

DIGEST = "a" * 64


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry", KeyRing(tmp_path / "keys"))


def registered(registry: ModelRegistry, key: str = "k", base: AdapterOf | None = None) -> ModelVersion:
    source = registry.layout.root.parent / "model.onnx"
    source.write_bytes(b"weights")
    lineage = Lineage(
        run="r1",
        step="train/triage",
        key=key,
        data={"orders": DIGEST, "odd": "not a digest"},
        code={"train.py": DIGEST},
        environment=DIGEST,
        command="python train.py",
        commit="b" * 40,
        framework="torch",
        base=base,
    )
    return registry.add("triage", {"model.onnx": source}, lineage=lineage, metrics={"accuracy": 0.8}, accept={})


def own_packages() -> tuple[Package, ...]:
    return installed([Path(str(importlib.metadata.distribution("msgspec").locate_file("")))])


def test_the_packages_of_an_environment_are_those_that_are_installed() -> None:
    found = {package.name: package for package in own_packages()}
    assert found["msgspec"].version == importlib.metadata.version("msgspec")
    assert found["msgspec"].record
    assert found["click"].licence == "BSD-3-Clause"
    assert found["plimsoll"].installed_from.startswith("file://")


def test_damaged_metadata_hides_no_package(tmp_path: Path) -> None:
    for name, content in (("Odd_Name-1.0", b"\xff\xfe\0"), ("empty-2.0", b"")):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "METADATA").write_bytes(content)
    assert [package.name for package in installed([tmp_path])] == ["empty", "odd-name"]


BASE = AdapterOf(reference="smollm@3", digest=f"sha256:{'c' * 64}", weights=(f"sha256:{DIGEST}",), about="LoRA")


def inventories(registry: ModelRegistry) -> list[Inventory]:
    version = registered(registry)
    return [
        of_model(version, own_packages()),
        of_model(registered(registry, "adapted", BASE), None, "nobody has recorded them"),
        of_model(version, None, "nobody has recorded them"),
        of_environment("requirements.txt", own_packages(), datetime.now(UTC)),
    ]


def test_bills_of_materials_are_valid_by_the_schema_of_cyclonedx(registry: ModelRegistry) -> None:
    schemas = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.schema import SchemaVersion

    for inventory in inventories(registry):
        wrong = schemas.JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(cyclonedx(inventory)))
        assert wrong is None, wrong


def test_a_bill_of_materials_says_where_packages_are_not_known(registry: ModelRegistry) -> None:
    unknown = cyclonedx(inventories(registry)[2])
    assert "nobody has recorded them" in json.dumps(unknown)
    assert unknown["compositions"] == [{"aggregate": "incomplete", "dependencies": ["subject"]}]


def test_every_element_of_spdx_has_a_name_of_its_own_and_leads_to_others_that_are_there(
    registry: ModelRegistry,
) -> None:
    for inventory in inventories(registry):
        graph: list[dict[str, object]] = spdx(inventory)["@graph"]  # type: ignore[assignment]
        names = [str(each["spdxId"]) for each in graph if "spdxId" in each]
        assert len(set(names)) == len(names) == len(graph) - 1
        relations = [each for each in graph if each["type"] == "Relationship"]
        for each in relations:
            assert {each["from"], *each["to"]} <= set(names)  # type: ignore[misc]
        assert all(each.get("creationInfo", "_:creation") == "_:creation" for each in graph)


def test_provenance_names_every_material_with_its_digest_and_the_level_honestly(registry: ModelRegistry) -> None:
    stated = json.dumps(provenance.provenance(registered(registry)))
    for part in ("orders", "train.py", "python train.py", "b" * 40, "SLSA_BUILD_LEVEL_1", "not a digest"):
        assert part in stated


def test_what_an_adapter_is_of_stands_in_every_statement(registry: ModelRegistry) -> None:
    version = registered(registry, base=BASE)
    inventory = of_model(version, None, "nobody has recorded them")
    ancestor = {"type": "machine-learning-model", "name": "smollm", "version": "3"}
    (found,) = cyclonedx(inventory)["metadata"]["component"]["pedigree"]["ancestors"]  # type: ignore[index]
    assert found == ancestor | {"hashes": [{"alg": "SHA-256", "content": "c" * 64}]}
    for stated in (spdx(inventory), provenance.provenance(version)):
        assert "smollm" in json.dumps(stated)
        assert "c" * 64 in json.dumps(stated)


def attested(registry: ModelRegistry, version: ModelVersion, about: ModelVersion, keys: KeyRing) -> None:
    made = add_attestation(registry.layout, about, PREDICATE, {"bomFormat": "CycloneDX"}, keys)
    registry.attach(version, [made])


def test_a_statement_is_read_back_as_it_was_signed(registry: ModelRegistry) -> None:
    version = registered(registry)
    attested(registry, version, version, registry.keys)
    found = read_attestation(registry.layout, registry.attestations(version), version, PREDICATE, registry.keys)
    assert found is not None
    assert found.predicate == {"bomFormat": "CycloneDX"}
    other = read_attestation(registry.layout, registry.attestations(version), version, "other", registry.keys)
    assert other is None
    assert registry.open(version).version == version


def test_a_statement_by_a_strange_key_or_with_altered_bytes_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registered(registry)
    attested(registry, version, version, KeyRing(tmp_path / "stranger"))
    with pytest.raises(ModelRefused, match="not trusted"):
        read_attestation(registry.layout, registry.attestations(version), version, PREDICATE, registry.keys)
    (listed,) = [each for each in registry.attestations(version) if "in-toto" in str(each.artifact_type)]
    blob = registry.layout.path(listed.digest)
    blob.write_bytes(blob.read_bytes().replace(b"sha256", b"sha257", 1))
    with pytest.raises(ModelRefused):
        read_attestation(registry.layout, registry.attestations(version), version, PREDICATE, registry.keys)


def test_statements_go_with_their_version_when_it_is_deleted(registry: ModelRegistry) -> None:
    version = registered(registry)
    attested(registry, version, version, registry.keys)
    registry.delete([version])
    assert registry.attestations(version) == ()


def test_a_python_beside_which_nothing_is_found_is_not_called_an_environment_without_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "shims" / "python"
    shim.parent.mkdir()
    shim.write_text('#!/bin/sh\nexec python3 "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent))
    found = packages_of(OWN_PYTHON, "d" * 64, tmp_path)
    assert found.packages is None
    assert "no package was found" in found.gap
