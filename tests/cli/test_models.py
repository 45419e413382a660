from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
from plimsoll.signing.keys import KeyRing
from tests.servers import registry

from .conftest import Plimsoll, answer, write


@pytest.mark.slow
def test_a_model_goes_to_a_registry_and_from_there_into_another_application(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, "  datasets: {}\n")
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", "  datasets: {}\n")
    models = ModelRegistry(tmp_path / ".plimsoll" / "registry", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))
    (tmp_path / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="train/triage", key="k")
    version = models.add("triage", {"model.onnx": tmp_path / "model.onnx"}, lineage=lineage, metrics={}, accept={})
    (tmp_path / "server").mkdir()
    with registry(tmp_path / "server") as reference:
        pushed = plimsoll("models", "triage", "--push", reference.name, "--json")
        assert answer(pushed) == {"reference": f"{reference.name}@{version.digest}"}
        other = ("models", "-f", "elsewhere/plimsoll.yaml")
        pulled = plimsoll(*other, "--pull", f"{reference.name}@{version.digest}", "--verify")
        assert pulled.returncode == 0, pulled.stderr
        assert f"triage@1  {version.digest}" in pulled.stdout
        by_tag = plimsoll(*other, "--pull", f"{reference.name}:1")
        assert by_tag.returncode == 2
        assert "pulled by its digest" in by_tag.stderr
        (tmp_path / "third").mkdir()
        write(tmp_path / "third", "  datasets: {}\n")
        strange = ("models", "-f", "third/plimsoll.yaml", "--pull", f"{reference.name}@{version.digest}")
        stranger = plimsoll(*strange, XDG_CONFIG_HOME=str(tmp_path / "stranger"))
        assert stranger.returncode == 1
        assert "not trusted here" in stranger.stderr
