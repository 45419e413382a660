from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.errors import FileError, ModelRefused, PlimsollError, TargetError
from plimsoll.registry.comparison import compare_versions
from plimsoll.registry.layout import LEFT_AFTER
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Indexed, Lineage, require_accepted
from plimsoll.signing.keys import KeyRing

from .conftest import register


def test_a_registered_model_is_found_and_opened_with_its_bytes(registry: ModelRegistry) -> None:
    register(registry)
    opened = registry.open(registry.find("triage"))
    assert opened.version.reference == "triage@1"
    assert {name: path.read_bytes() for name, path in opened.files.items()} == {
        "model.onnx": b"weights",
        "words.txt": b"a b c",
    }


def test_versions_count_up_and_the_newest_is_found_by_name(registry: ModelRegistry) -> None:
    register(registry, "k1")
    register(registry, "k2", b"better")
    assert [version.reference for version in registry.versions()] == ["triage@1", "triage@2"]
    assert registry.find("triage").version == 2
    assert registry.find("triage@1").version == 1


def test_a_tag_stands_for_a_version_and_moves(registry: ModelRegistry) -> None:
    first, second = register(registry, "k1"), register(registry, "k2", b"better")
    registry.tag(first, "best")
    assert registry.find("triage:best") == first
    registry.tag(second, "best")
    assert registry.open(registry.find("triage:best")).version == second
    assert registry.tags() == {second.digest: ["best"]}
    assert [version.version for version in registry.versions()] == [1, 2]
    assert register(registry, "k3", b"newer").version == 3
    with pytest.raises(PlimsollError, match="its tags are best"):
        registry.find("triage:worst")
    with pytest.raises(FileError, match="cannot be a tag"):
        registry.tag(first, "7")


def test_the_same_training_is_the_same_version(registry: ModelRegistry) -> None:
    assert register(registry) == register(registry)
    assert len(registry.versions()) == 1
    assert register(registry, accept={"accuracy": "> 0.1"}).version == 2


def test_a_missing_reference_lists_the_existing_ones(registry: ModelRegistry) -> None:
    register(registry)
    with pytest.raises(PlimsollError) as caught:
        registry.find("traige")
    assert caught.value.hint == "did you mean 'triage'?"
    with pytest.raises(PlimsollError) as caught:
        registry.find("triage@7")
    assert "triage@1" in caught.value.hint


@pytest.mark.parametrize(
    ("accept", "accepted", "refusal"),
    [
        ({"accuracy": ">= 0.8"}, True, ""),
        ({"accuracy": "> 0.8"}, False, "accuracy is 0.8, expected > 0.8"),
        ({"recall": "> 0.1"}, False, "recall was not measured, expected > 0.1"),
    ],
)
def test_bounds_gate_what_may_be_served(
    registry: ModelRegistry, accept: dict[str, str], accepted: bool, refusal: str
) -> None:
    version = register(registry, accept=accept)
    assert version.accepted is accepted
    if accepted:
        require_accepted(version)
        return
    with pytest.raises(ModelRefused, match=refusal):
        require_accepted(version)


def test_two_versions_are_compared_in_metrics_and_lineage(registry: ModelRegistry) -> None:
    first = register(registry, "k1")
    second = register(registry, "k2", b"other", metrics={"accuracy": 0.9, "f1": 0.7})
    compared = compare_versions(first, second)
    assert compared.metrics == {"accuracy": (0.8, 0.9), "f1": (None, 0.7)}
    assert compared.changed["code"] == ("train.py",)
    assert compared.changed["data"] == ()
    assert compared.changed["files"] == ("model.onnx",)
    assert compared.comparable


def test_two_versions_of_an_index_are_compared_in_what_they_were_built_with(registry: ModelRegistry) -> None:
    file = registry.layout.root.parent / "index.json"
    file.write_bytes(b"{}")
    for key, embedder in (("k1", "small@1"), ("k2", "small@2")):
        index = Indexed(search="hybrid", tokens=256, overlap=64, embedder=embedder)
        lineage = Lineage(run="r1", step="release/faq", key=key, index=index)
        registry.add("indexes.faq", {"index.json": file}, lineage=lineage, metrics={"chunks": 3}, accept={})
    first, second = registry.versions("indexes.faq")
    assert compare_versions(first, second).changed["index"] == ("embedder small@1 → small@2",)
    assert compare_versions(first, first).changed["index"] == ()
    assert "index" not in compare_versions(register(registry, "k1"), register(registry, "k2", b"better")).changed


def test_figures_of_versions_are_comparable_only_on_the_same_data(registry: ModelRegistry) -> None:
    first = register(registry, "k1")
    other = replace(first.lineage, data={"orders": "another digest"})
    compared = compare_versions(first, replace(first, version=2, lineage=other))
    assert "orders" in compared.changed["data"]
    assert not compared.comparable


def test_a_model_of_an_unknown_signer_is_refused_and_trusted_once_the_key_is(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = register(registry)
    stranger = ModelRegistry(registry.layout.root, KeyRing(tmp_path / "others"))
    with pytest.raises(ModelRefused, match="not trusted here"):
        stranger.open(version)
    shutil.copytree(tmp_path / "keys" / "trusted", tmp_path / "others" / "trusted")
    assert stranger.open(version).version == version


def test_the_private_key_is_readable_by_its_owner_only(registry: ModelRegistry, tmp_path: Path) -> None:
    register(registry)
    assert (tmp_path / "keys" / "signing.pem").stat().st_mode & 0o077 == 0


def test_the_signature_of_one_version_is_not_valid_for_another(registry: ModelRegistry) -> None:
    register(registry, "k1")
    register(registry, "k2", b"worse")
    path = registry.layout.root / "index.json"
    index = json.loads(path.read_text())
    names = [entry for entry in index["manifests"] if "org.opencontainers.image.ref.name" in entry["annotations"]]
    first, second = names[0]["annotations"], names[1]["annotations"]
    names[0]["annotations"], names[1]["annotations"] = second, first
    path.write_text(json.dumps(index))
    with pytest.raises(ModelRefused, match="the index lists"):
        registry.open(registry.find("triage@1"))


@pytest.mark.parametrize("altered", ["triagf:2", "triage:q", "triage:3"])
def test_find_refuses_an_older_version_when_the_newest_entry_is_lost(registry: ModelRegistry, altered: str) -> None:
    register(registry, "k1")
    register(registry, "k2", b"newer")
    path = registry.layout.root / "index.json"
    path.write_text(path.read_text().replace('"triage:2"', f'"{altered}"'))
    with pytest.raises(ModelRefused, match=r"signed and no longer listed|the index lists"):
        registry.find("triage")


def test_damage_of_one_version_leaves_the_others_usable(registry: ModelRegistry) -> None:
    first = register(registry, "k1")
    second = register(registry, "k2", b"newer")
    registry.layout.path(second.digest).write_bytes(b"{}")
    assert registry.open(registry.find("triage@1")).version == first
    with pytest.raises(ModelRefused, match="the manifest of triage:2"):
        registry.find("triage")


def test_a_lost_index_is_damage_and_not_an_empty_registry(registry: ModelRegistry) -> None:
    register(registry)
    (registry.layout.root / "index.json").unlink()
    with pytest.raises(ModelRefused, match="lost its index"):
        registry.versions()


def test_the_next_writer_removes_the_files_of_a_killed_writer(registry: ModelRegistry) -> None:
    register(registry, "k1")
    left = registry.layout.blobs / ".0123456789abcdef"
    left.write_bytes(b"half")
    os.utime(left, (0, time.time() - LEFT_AFTER - 1))
    young = registry.layout.blobs / ".fedcba9876543210"
    young.write_bytes(b"statements are written without the lock")
    register(registry, "k2", b"newer")
    assert list(registry.layout.blobs.glob(".*")) == [young]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(file=st.floats(0, 1, exclude_max=True), place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_flipped_byte_anywhere_is_refused_or_changes_nothing(
    file: float, place: float, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("flip")
    registry = ModelRegistry(directory / "registry", KeyRing(directory / "keys"))
    before = registry.open(register(registry))
    bytes_before = {name: path.read_bytes() for name, path in before.files.items()}
    shutil.rmtree(registry.layout.root / "opened")
    files = sorted(path for path in registry.layout.root.rglob("*") if path.is_file() and path.stat().st_size)
    path = files[int(file * len(files))]
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)
    try:
        after = registry.open(registry.find("triage@1"))
    except PlimsollError as error:
        assert error.message
        return
    assert path.name in {"oci-layout", "index.json", "index.dsse.json"}
    assert {name: opened.read_bytes() for name, opened in after.files.items()} == bytes_before
    assert after.version == before.version


def test_one_model_is_opened_by_many_at_once(registry: ModelRegistry) -> None:
    version = register(registry)
    for _ in range(10):
        shutil.rmtree(registry.layout.root / "opened", ignore_errors=True)
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(registry.open, [version] * 8))
        assert all(one.files["model.onnx"].read_bytes() == b"weights" for one in opened)
    assert not list(registry.layout.root.rglob("opened/*/.*"))


@pytest.mark.parametrize("what", ["layer", "truncated", "missing"])
def test_a_damaged_file_is_named(registry: ModelRegistry, what: str) -> None:
    version = register(registry)
    blob = registry.layout.path(version.files["model.onnx"].digest)
    if what == "layer":
        blob.write_bytes(b"weightz")
    elif what == "truncated":
        blob.write_bytes(b"weig")
    else:
        blob.unlink()
    with pytest.raises(ModelRefused, match=r"model\.onnx of triage@1") as caught:
        registry.open(version)
    assert caught.value.hint


ADD = """
import sys, pathlib
from plimsoll.signing.keys import KeyRing
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
root = pathlib.Path(sys.argv[1])
registry = ModelRegistry(root / "registry", KeyRing(root / "keys"))
(root / "m").write_bytes(b"x" * 1000)
for number in range(int(sys.argv[3])):
    lineage = Lineage(run="r", step="s", key=f"{sys.argv[2]}-{number}")
    registry.add("triage", {"m": root / "m"}, lineage=lineage, metrics={}, accept={})
"""


@pytest.mark.slow
def test_concurrent_writers_get_different_versions(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", ADD, str(tmp_path)]
    writers = [subprocess.Popen([*argv, str(turn), "4"]) for turn in range(3)]
    assert [writer.wait(50) for writer in writers] == [0, 0, 0]
    registry = ModelRegistry(tmp_path / "registry", KeyRing(tmp_path / "keys"))
    assert [version.version for version in registry.versions()] == list(range(1, 13))
    for version in registry.versions():
        registry.open(version)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_every_version_whole(tmp_path: Path) -> None:
    for turn in range(3):
        writer = subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path), str(turn), "100000"])
        index = tmp_path / "registry" / "index.json"
        size = index.stat().st_size if index.exists() else 200
        deadline = time.monotonic() + 30
        while not (index.exists() and index.stat().st_size > size) and time.monotonic() < deadline:
            time.sleep(0.001 * (turn + 1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        registry = ModelRegistry(tmp_path / "registry", KeyRing(tmp_path / "keys"))
        versions = registry.versions()
        assert versions
        for version in versions:
            registry.open(version)


def test_a_full_disk_is_a_clear_error_and_harms_nothing(registry: ModelRegistry) -> None:
    version = register(registry)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    big = registry.layout.root.parent / "trained" / "big"
    big.write_bytes(b"x" * 100_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(TargetError, match="cannot write to the registry"):
            registry.add("triage", {"big": big}, lineage=version.lineage, metrics={}, accept={"a": "> 1"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [found.reference for found in registry.versions()] == ["triage@1"]
    registry.open(version)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (apt-get install skopeo)")
def test_another_tool_reads_the_layout(registry: ModelRegistry) -> None:
    version = register(registry)
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci:{registry.layout.root}:triage:1"], capture_output=True, check=True
    ).stdout
    manifest = json.loads(raw)
    assert manifest["artifactType"] == "application/vnd.plimsoll.model.v1"
    assert {layer["digest"] for layer in manifest["layers"]} == {file.digest for file in version.files.values()}
