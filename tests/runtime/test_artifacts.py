"""Results and checkpoints as images in a real registry."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.errors import ModelRefused
from plimsoll.registry.layout import MANIFEST, Manifest
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts


@pytest.fixture
def repository(registry: Reference) -> Iterator[Repository]:
    with Repository(registry.below("app", "results")) as repository:
        yield repository


def tree(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_a_pushed_directory_is_pulled_with_its_facts(repository: Repository, tmp_path: Path) -> None:
    source = tree(tmp_path / "a", one="1", deep__two="22")
    digest = artifacts.push(repository, "k1", artifacts.files_below(source), {"rows": 3})
    assert artifacts.read_facts(repository, "k1") == (digest, {"rows": 3})
    assert artifacts.pull(repository, "k1", tmp_path / "b")
    assert {path.name: path.read_text() for path in (tmp_path / "b").rglob("*") if path.is_file()} == {
        "one": "1",
        "two": "22",
    }
    assert artifacts.pull(repository, "k1", tmp_path / "c", names=["deep/two"])
    assert [path.name for path in (tmp_path / "c").rglob("*") if path.is_file()] == ["two"]


def test_the_same_files_are_the_same_digest_and_only_what_changed_is_sent(
    repository: Repository, tmp_path: Path
) -> None:
    source = tree(tmp_path / "a", large="x" * 1_000_000, small="1")
    first = artifacts.push(repository, "k2", artifacts.files_below(source), {})
    before = repository.connection.sent
    assert artifacts.push(repository, "k2", artifacts.files_below(source), {}) == first
    (source / "small").write_text("2")
    assert artifacts.push(repository, "k2", artifacts.files_below(source), {}) != first
    assert repository.connection.sent - before < 100_000


def test_a_missing_tag_is_not_an_error(repository: Repository, tmp_path: Path) -> None:
    assert artifacts.read_facts(repository, "nobody") is None
    assert not artifacts.pull(repository, "nobody", tmp_path / "b")


def test_an_empty_directory_is_an_image_too(repository: Repository, tmp_path: Path) -> None:
    artifacts.push(repository, "k3", {}, {})
    assert artifacts.pull(repository, "k3", tmp_path / "b")
    assert list((tmp_path / "b").iterdir()) == []


def test_another_tool_can_read_it_as_an_image(repository: Repository, tmp_path: Path) -> None:
    artifacts.push(repository, "k4", artifacts.files_below(tree(tmp_path / "a", one="1")), {"rows": 1})
    reference = f"docker://{repository.reference.name}:k4"
    found = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", reference], capture_output=True, text=True, timeout=30, check=False
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(json.loads(found.stdout)["Labels"][artifacts.FACTS_LABEL]) == {"rows": 1}


@pytest.mark.parametrize("config", [b"[]", b"{}", b'{"config": {"Labels": {"dev.plimsoll.facts": "7"}}}', b"\xff"])
def test_facts_that_others_have_written_are_refused_and_not_believed(
    config: bytes, repository: Repository, tmp_path: Path
) -> None:
    described = artifacts._push_bytes(repository, config, "a/b", tmp_path)
    manifest = Manifest(config=described, layers=(described,))
    repository.push_manifest(manifest.encoded(), MANIFEST, "foreign")

    with pytest.raises(ModelRefused, match="the facts of foreign cannot be read"):
        artifacts.read_facts(repository, "foreign")
