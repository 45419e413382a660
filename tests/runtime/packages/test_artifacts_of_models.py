"""A model that one application has pushed to a registry is brought by another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.model_sources import parse_source
from plimsoll.errors import PlimsollError
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import push_model
from plimsoll.registry.versions import Lineage
from plimsoll.runtime.packages.fetching import Fetched, Fetching
from plimsoll.signing.keys import KeyRing


def brought(folder: Path, source: str, tokenizer: str = "") -> Fetched:
    folder.mkdir()
    return Fetching(folder=folder, kept=folder / "kept", application=folder, stopped=lambda: False).files(
        parse_source(source), tokenizer
    )


@pytest.mark.slow
def test_a_file_of_a_pushed_model_is_found_by_its_title(tmp_path: Path, registry: Reference) -> None:
    files = {"model.onnx": b"\x08\x09model", "words/tokenizer.json": b"{}"}
    paths = {name: tmp_path / name.rpartition("/")[2] for name in files}
    for name, content in files.items():
        paths[name].write_bytes(content)
    models = ModelRegistry(tmp_path / "registry", KeyRing(tmp_path / "keys"))
    lineage = Lineage(run="r", step="train/triage", key="k")
    version = models.add("triage", paths, lineage=lineage, metrics={}, accept={})
    with Repository(registry) as repository:
        push_model(models, version, repository)
    source = f"oci://{registry.name}@{version.digest}"

    found = brought(tmp_path / "whole", f"{source}#model.onnx", "tokenizer.json")
    assert found.model.read_bytes() == files["model.onnx"]
    assert found.tokenizer
    assert found.tokenizer.read_bytes() == b"{}"
    with pytest.raises(PlimsollError, match=r"no file of the package fits '\*.gguf'"):
        brought(tmp_path / "other", f"{source}#*.gguf")
    with pytest.raises(PlimsollError, match="there is no manifest"):
        brought(tmp_path / "gone", f"oci://{registry.name}@sha256:{'0' * 64}#model.onnx")
