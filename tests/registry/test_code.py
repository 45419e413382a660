"""The code of a version: what is stored with it, and back into a directory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from plimsoll.errors import FileError, ModelRefused
from plimsoll.registry.code import code_of, write_code
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage, ModelVersion


def registered(registry: ModelRegistry, files: dict[str, bytes]) -> ModelVersion:
    place = registry.layout.root.parent / "kept"
    place.mkdir(exist_ok=True)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for name, content in files.items():
        (place / digests[name]).write_bytes(content)
    model = place / "model.onnx"
    model.write_bytes(b"weights")
    lineage = Lineage(run="r", step="train/triage", key=str(sorted(digests.items())), code=digests)
    code = {name: place / digest for name, digest in digests.items()}
    return registry.add("triage", {"model.onnx": model}, lineage=lineage, metrics={}, accept={}, code=code)


def test_code_comes_back_with_its_directories_and_programs_can_be_run(registry: ModelRegistry, tmp_path: Path) -> None:
    files = {"train.py": b"import lib.a\n", "lib/a.py": b"", "prepare": b"#!/bin/sh\n"}
    version = registered(registry, files)
    root, written = write_code(registry.layout, version, tmp_path / "out")
    assert root == tmp_path / "out"
    assert written == sorted(files)
    assert {name: (root / name).read_bytes() for name in files} == files
    assert (root / "prepare").stat().st_mode & 0o111
    assert not (root / "train.py").stat().st_mode & 0o111
    assert registry.open(version).files.keys() == {"model.onnx"}, "code is no file of the model"


def test_code_beside_the_application_lies_beside_it_again(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registered(registry, {"train.py": b"1", "../lib/a.py": b"2"})
    root, written = write_code(registry.layout, version, tmp_path / "out")
    assert root == tmp_path / "out" / "application"
    assert written == ["application/train.py", "lib/a.py"]
    assert (root / "../lib/a.py").read_bytes() == b"2"


@pytest.mark.parametrize(
    "names",
    [
        ["/etc/cron.d/x"],
        ["a/../../x"],
        ["a/../b"],
        [".."],
        ["../.."],
        [".git/hooks/post-checkout"],
        ["sub/.git/config"],
        ["a\nb"],
        ["a\x1b[2Jb"],
        ["a\0b"],
        ["./a"],
        ["a//b"],
        ["a", "a/b"],
        ["../x", "application"],
        ["../application", "x"],
    ],
)
def test_hostile_names_are_refused_and_nothing_is_written(
    registry: ModelRegistry, tmp_path: Path, names: list[str]
) -> None:
    version = registered(registry, dict.fromkeys(names, b"x"))
    if names == ["../x", "application"]:
        # Both have a place of their own: application/application and x.
        assert write_code(registry.layout, version, tmp_path / "out")[1] == ["application/application", "x"]
        return
    with pytest.raises(ModelRefused, match="cannot be written safely"):
        write_code(registry.layout, version, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_with_other_content_is_refused_and_one_that_was_begun_is_completed(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = registered(registry, {"train.py": b"1", "lib/a.py": b"2"})
    out = tmp_path / "out"
    (out / "lib").mkdir(parents=True)
    (out / "lib" / "a.py").write_bytes(b"2")
    write_code(registry.layout, version, out)
    for spoil in ("other", "lib/other"):
        (out / spoil).write_bytes(b"mine")
        with pytest.raises(FileError, match=f"it has other content: {spoil}"):
            write_code(registry.layout, version, out)
        (out / spoil).unlink()
    (out / "train.py").write_bytes(b"3")
    with pytest.raises(FileError, match=r"it has other content: train\.py"):
        write_code(registry.layout, version, out)
    assert (out / "train.py").read_bytes() == b"3"
    (out / "train.py").unlink()
    (out / "train.py").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match=r"it has other content: train\.py"):
        write_code(registry.layout, version, out)
    (tmp_path / "link").symlink_to(tmp_path)
    for place in (tmp_path / "link", tmp_path / "keys" / "signing.pem"):
        with pytest.raises(FileError, match="it is no directory"):
            write_code(registry.layout, version, place)


def test_code_that_was_altered_or_is_not_there_is_told(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registered(registry, {"train.py": b"1"})
    registry.layout.path(code_of(registry.layout, version)["train.py"].digest).write_bytes(b"2")
    with pytest.raises(ModelRefused, match=r"train\.py of triage@1 was altered"):
        write_code(registry.layout, version, tmp_path / "out")
    stranger = replace(version, lineage=replace(version.lineage, code={"train.py": "0" * 64}))
    assert code_of(registry.layout, stranger) == {}
    without = registered(registry, {})
    with pytest.raises(ModelRefused, match="triage@2 was registered without its code"):
        write_code(registry.layout, without, tmp_path / "out")
