from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.images.base import BaseImage, find_base, own_architecture
from plimsoll.images.build import model_image, step_image
from plimsoll.images.code import code_layer
from plimsoll.images.dependencies import PythonTarget, dependencies_layer, running_python_version
from plimsoll.images.image import compose, push_image
from plimsoll.images.layers import Layer, LayerEntry, LayerStore
from plimsoll.registry.layout import Descriptor
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.verification import check_directory
from plimsoll.registry.versions import Lineage
from plimsoll.signing.keys import KeyRing
from tests.servers import registry


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry(tmp_path_factory.mktemp("server")) as reference:
        yield reference


@pytest.fixture
def repository(server: Reference, tmp_path: Path) -> Iterator[Repository]:
    with Repository(server.below(f"a{abs(hash(tmp_path))}")) as repository:
        yield repository


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "store")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with a large file, like that of a base image."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_bytes(os.urandom(400_000))
    (root / "bin" / "tool").chmod(0o755)
    (root / "tmp").mkdir()
    (root / "bin" / "other").symlink_to("tool")
    return root


def application(directory: Path, content: str = "print(1)\n") -> tuple[Path, list[tuple[str, str]]]:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "train.py").write_text(content)
    (directory / "lib").mkdir(exist_ok=True)
    (directory / "lib" / "__init__.py").write_text("")
    names = ["train.py", "lib/__init__.py"]
    return directory, [(name, hashlib.sha256((directory / name).read_bytes()).hexdigest()) for name in names]


def members(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.path) as archive:
        return {member.name: member for member in archive.getmembers()}


def test_the_same_files_give_the_same_digest_whenever_and_wherever(tmp_path: Path) -> None:
    digests = []
    for place in ("one", "two/deeper"):
        directory, code = application(tmp_path / place)
        os.utime(directory / "train.py", (1, 1) if place == "one" else None)
        layer = code_layer(LayerStore(tmp_path / place / "store"), directory, list(reversed(code))).layer
        digests.append((layer.descriptor.digest, layer.diff_id))
    assert digests[0] == digests[1]


def test_a_layer_has_no_times_and_owners_of_this_machine(store: LayerStore, tmp_path: Path) -> None:
    directory, code = application(tmp_path / "app")
    layer = code_layer(store, directory, code).layer
    found = members(layer)
    assert list(found) == ["workspace", "workspace/lib", "workspace/lib/__init__.py", "workspace/train.py"]
    assert {(each.mtime, each.uname, each.gname, each.gid) for each in found.values()} == {(0, "", "", 0)}
    assert layer.path.read_bytes()[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
    with tarfile.open(layer.path) as archive:
        content = archive.fileobj
        assert content is not None
        content.seek(0)
        assert layer.diff_id == "sha256:" + hashlib.sha256(content.read(-1)).hexdigest()


def test_code_beside_the_application_keeps_its_place(store: LayerStore, tmp_path: Path) -> None:
    directory, code = application(tmp_path / "project" / "app")
    (tmp_path / "project" / "common.py").write_text("x = 1\n")
    made = code_layer(store, directory, [*code, ("../common.py", "")])
    assert made.workdir == "/workspace/app"
    assert {"workspace/app/train.py", "workspace/common.py"} <= set(members(made.layer))


def test_code_that_changed_since_the_plan_is_refused(store: LayerStore, tmp_path: Path) -> None:
    directory, code = application(tmp_path / "app")
    (directory / "train.py").write_text("print(2)\n")
    with pytest.raises(TargetError, match="has changed since the plan"):
        code_layer(store, directory, code)
    with pytest.raises(PlimsollError, match="cannot read"):
        code_layer(store, directory, [("gone.py", "")])
    with pytest.raises(FileError, match="goes above the root folder"):
        code_layer(store, directory, [("../" * 60 + "x", "")])


def test_an_unchanged_image_sends_nothing_and_a_changed_script_a_few_bytes(
    repository: Repository, store: LayerStore, tmp_path: Path, root: Path
) -> None:
    base = find_base(f"rootfs:{root}", store)
    directory, code = application(tmp_path / "app")
    first = push_image(step_image(store, base, directory=directory, code=code), repository, store, tag="step")
    assert first.sent > 400_000
    again = push_image(step_image(store, base, directory=directory, code=code), repository, store, tag="step")
    assert (again.reference, again.sent) == (first.reference, 0)
    directory, code = application(tmp_path / "app", "print('changed')\n")
    changed = push_image(step_image(store, base, directory=directory, code=code), repository, store, tag="step")
    assert changed.reference != first.reference
    assert (changed.blobs_sent, changed.blobs_mounted) == (2, 0)
    assert changed.sent < 5_000
    assert repository.has_manifest("step") == changed.reference.digest


def test_a_base_in_the_same_registry_is_mounted_and_not_sent(
    repository: Repository, store: LayerStore, tmp_path: Path, root: Path, server: Reference
) -> None:
    with Repository(server.below("bases", "python")) as bases:
        nothing = BaseImage(name="x", digest="x", config={"architecture": own_architecture(), "os": "linux"}, layers=())
        layer = store.add("root", [LayerEntry(path="bin/tool", source=root / "bin" / "tool", executable=True)])
        push_image(compose(nothing, [layer], user=""), bases, store, tag="3.11")
    base = find_base(f"{server.below('bases', 'python')}:3.11", LayerStore(tmp_path / "fresh"))
    directory, code = application(tmp_path / "app")
    pushed = push_image(step_image(store, base, directory=directory, code=code), repository, LayerStore(tmp_path / "f"))
    assert pushed.blobs_mounted == 1
    assert pushed.sent < 5_000


def test_a_base_in_another_registry_is_copied_once(
    repository: Repository, store: LayerStore, tmp_path: Path, root: Path
) -> None:
    with registry(tmp_path) as elsewhere:
        with Repository(elsewhere) as bases:
            push_image(compose(find_base(f"rootfs:{root}", store), []), bases, store, tag="1")
        fresh = LayerStore(tmp_path / "fresh")
        base = find_base(f"{elsewhere}:1", fresh)
        directory, code = application(tmp_path / "app")
        first = push_image(step_image(fresh, base, directory=directory, code=code), repository, fresh)
        directory, code = application(tmp_path / "app", "print('changed')\n")
        second = push_image(step_image(fresh, base, directory=directory, code=code), repository, fresh)
    assert first.sent > 400_000
    assert second.sent < 5_000


def test_an_image_sets_its_user_and_working_directory(store: LayerStore, tmp_path: Path, root: Path) -> None:
    base = find_base(f"rootfs:{root}", store)
    directory, code = application(tmp_path / "app")
    image = step_image(store, base, directory=directory, code=code, environment={"EPOCHS": "3"})
    config = json.loads(image.config)
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["WorkingDir"] == "/workspace"
    assert "EPOCHS=3" in config["config"]["Env"]
    assert len(config["rootfs"]["diff_ids"]) == len(json.loads(image.manifest)["layers"]) == 2


def test_bases_are_found_in_layouts_and_archives_as_skopeo_makes_them(
    repository: Repository, store: LayerStore, tmp_path: Path, root: Path
) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo (Debian: apt-get install skopeo)")
    pushed = push_image(compose(find_base(f"rootfs:{root}", store), []), repository, store, tag="1")
    source = f"docker://{pushed.reference.name}:1"
    for target in (f"oci:{tmp_path}/layout:named", f"oci-archive:{tmp_path}/image.tar:named"):
        subprocess.run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", source, target], check=True)
    names = [source, f"oci:{tmp_path}/layout:named", f"oci:{tmp_path}/layout", f"oci-archive:{tmp_path}/image.tar"]
    found = [find_base(name, store) for name in names]
    assert {base.digest for base in found} == {pushed.reference.digest}
    with pytest.raises(FileError, match="matches no image"):
        find_base(f"oci:{tmp_path}/layout:other", store)
    with pytest.raises(TargetError, match=r"expected linux/s390x|no image for linux/s390x"):
        find_base(source, store, architecture="s390x")


PUSH = """
import sys
from pathlib import Path
from plimsoll.images.base import find_base
from plimsoll.images.image import compose, push_image
from plimsoll.images.layers import LayerStore
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
store = LayerStore(Path(sys.argv[1]))
image = compose(find_base(sys.argv[2], store), [])
print("begins", flush=True)
with Repository(parse_reference(sys.argv[3])) as repository:
    push_image(image, repository, store, tag="1")
"""


@pytest.mark.slow
def test_a_push_that_is_killed_leaves_nothing_to_pull(
    repository: Repository, store: LayerStore, tmp_path: Path, root: Path
) -> None:
    (root / "large").write_bytes(os.urandom(30 << 20))
    image = compose(find_base(f"rootfs:{root}", store), [])
    command = [sys.executable, "-c", PUSH, str(store.root), f"rootfs:{root}", repository.reference.name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if not repository.has_manifest("1"):
        assert repository.tags() == []
    pushed = push_image(image, repository, store, tag="1")
    layer = json.loads(image.manifest)["layers"][0]
    there = Descriptor(media_type="", digest=layer["digest"], size=layer["size"])
    repository.pull_blob(there, tmp_path / "back")
    assert pushed.reference.digest == image.digest


def wheel(directory: Path) -> Path:
    """A package with a module and a command."""
    path = directory / "tiny-1.0-py3-none-any.whl"
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "def main():\n    print('tiny speaks')\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/entry_points.txt", "[console_scripts]\ntiny = tiny:main\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def test_requirements_give_the_same_layer_from_any_machine(tmp_path: Path) -> None:
    python = PythonTarget(version=running_python_version(), architecture=own_architecture())
    layers = []
    for place in ("one", "two"):
        directory = tmp_path / place
        directory.mkdir()
        (directory / "requirements.txt").write_text(f"{wheel(directory)}\n")
        store = LayerStore(directory / "store")
        layers.append(dependencies_layer(store, directory / "requirements.txt", "digest", python))
    assert layers[0].descriptor == layers[1].descriptor
    found = members(layers[0])
    place = "opt/plimsoll/dependencies"
    assert {f"{place}/tiny.py", f"{place}/bin/tiny", f"{place}/tiny-1.0.dist-info/METADATA"} <= set(found)
    with tarfile.open(layers[0].path) as archive:
        script = archive.extractfile(f"{place}/bin/tiny")
        assert script is not None
        assert script.readline() == b"#!/usr/bin/env python3\n"
        archive.extractall(tmp_path / "unpacked", filter="tar")
    inside = tmp_path / "unpacked" / place
    environment = {**os.environ, "PYTHONPATH": str(inside), "PATH": f"{inside}/bin:{Path(sys.executable).parent}:/bin"}
    ran = subprocess.run(["tiny"], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "tiny speaks\n"


def test_missing_requirements_are_reported_with_the_installers_output(tmp_path: Path) -> None:
    wheel = f"{tmp_path}/missing-1.0-py3-none-any.whl"
    (tmp_path / "requirements.txt").write_text(f"missing @ file://{wheel} ; python_version > '3'\n")
    python = PythonTarget(version=running_python_version(), architecture=own_architecture())
    with pytest.raises(TargetError, match=r"cannot install the packages: .*missing"):
        dependencies_layer(LayerStore(tmp_path / "store"), tmp_path / "requirements.txt", "x", python)
    assert not list((tmp_path / "store").glob(".installing*"))


def test_a_model_image_is_verified_at_its_mount(repository: Repository, store: LayerStore, tmp_path: Path) -> None:
    models = ModelRegistry(tmp_path / "models", KeyRing(tmp_path / "keys"))
    (tmp_path / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="s", key="k")
    version = models.add("triage", {"model.onnx": tmp_path / "model.onnx"}, lineage=lineage, metrics={}, accept={})
    image = model_image(models, version, store)
    assert image.digest == model_image(models, version, LayerStore(tmp_path / "other")).digest
    pushed = push_image(image, repository, store)
    (layer,) = repository.manifest(pushed.reference.digest).decoded().layers
    repository.pull_blob(Descriptor(media_type="", digest=layer.digest, size=layer.size), tmp_path / "layer")
    with tarfile.open(tmp_path / "layer") as archive:
        archive.extractall(tmp_path / "mounted", filter="tar")
    assert check_directory(tmp_path / "mounted", models.keys, version.digest).version == version
    command = [sys.executable, "-m", "plimsoll.runtime.pull", "--mounted", str(tmp_path / "mounted")]
    command += ["--digest", version.digest, "--keys", str(models.keys.trusted)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    (tmp_path / "mounted" / "model.onnx").write_bytes(b"Weights")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "model.onnx of triage@1 was altered" in refused.stderr
