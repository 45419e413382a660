from __future__ import annotations

import json
from pathlib import Path

from plimsoll.registry.attestations import add_attestation
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
from plimsoll.signing.keys import KeyRing
from plimsoll.supply.cyclonedx import PREDICATE

from .conftest import Plimsoll, answer, write


def test_the_status_of_a_scan_tells_what_was_found(tmp_path: Path, plimsoll: Plimsoll) -> None:
    (tmp_path / "bad.pkl").write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    (tmp_path / "odd.xyz").write_bytes(bytes(range(200, 256)))
    (tmp_path / "good.txt").write_text("words")
    found = plimsoll("scan", "bad.pkl", "odd.xyz", "--json")
    assert found.returncode == 1
    assert answer(found)["counts"] == {"clean": 0, "vulnerable": 0, "unsafe": 1, "unknown": 1}
    assert plimsoll("scan", "odd.xyz").returncode == 3
    assert plimsoll("scan", "good.txt").returncode == 0


def test_an_environment_without_a_database_is_unknown_and_no_pass(tmp_path: Path, plimsoll: Plimsoll) -> None:
    package = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "pump-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Name: pump\nVersion: 1.0\n")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert plimsoll("scan", "env").returncode == 3
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]
    affected = [{"package": {"name": "Pump", "ecosystem": "PyPI"}, "ranges": ranges}]
    (tmp_path / "osv.json").write_text(json.dumps({"id": "GHSA-1", "affected": affected}))
    found = plimsoll("scan", "env", "--database", "osv.json")
    assert found.returncode == 1
    assert "GHSA-1, not told" in found.stdout
    missing = plimsoll("scan", "env", "--database", "none.zip")
    assert missing.returncode == 2
    assert "none.zip: the database cannot be read" in missing.stderr


def test_a_version_shows_its_bill_of_materials_or_says_that_it_has_none(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, "  datasets: {}\n")
    models = ModelRegistry(tmp_path / ".plimsoll" / "registry", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))
    (tmp_path / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="train/triage", key="k")
    version = models.add("triage", {"model.onnx": tmp_path / "model.onnx"}, lineage=lineage, metrics={}, accept={})
    without = plimsoll("models", "triage", "--provenance")
    assert without.returncode == 1
    assert "triage@1 has no provenance" in without.stderr
    bill = {"bomFormat": "CycloneDX"}
    models.attach(version, [add_attestation(models.layout, version, PREDICATE, bill, models.keys)])
    assert answer(plimsoll("models", "triage", "--sbom", "cyclonedx")) == bill
