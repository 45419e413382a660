"""A pushed image runs in a container of runc, as nobody, without files of this machine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.images import archive
from lab.images.python import python_base
from plimsoll.images.base import find_base
from plimsoll.images.build import runtime_image, step_image
from plimsoll.images.image import push_image
from plimsoll.images.layers import LayerStore
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from tests.runtime.conftest import linear_model
from tests.servers import free_port, registry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root for a container"),
    pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc (Debian: apt-get install runc)"),
    pytest.mark.skipif(
        shutil.which("busybox") is None, reason="needs busybox (Debian: apt-get install busybox-static)"
    ),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the lab is for x86_64"),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Reference]:
    with registry(directory) as reference:
        yield reference


@pytest.fixture(scope="module")
def base(directory: Path) -> str:
    archive.save(python_base(), directory / "python.tar")
    return f"oci-archive:{directory / 'python.tar'}"


@pytest.fixture(scope="module")
def store(directory: Path) -> LayerStore:
    return LayerStore(directory / "store")


class Container:
    """An unpacked image from a registry, with a method to run commands in it."""

    def __init__(self, repository: Repository, digest: str, directory: Path) -> None:
        manifest = repository.manifest(digest).decoded()
        self.directory = directory
        self.config = json.loads(repository.blob(manifest.config, ""))
        for number, layer in enumerate(manifest.layers):
            file = directory / f"layer{number}"
            repository.pull_blob(layer, file)
            with tarfile.open(file) as content:
                content.extractall(directory / "rootfs", filter="fully_trusted")
        subprocess.run(["runc", "spec"], cwd=directory, check=True)
        self.spec: dict[str, Any] = json.loads((directory / "config.json").read_text())

    def run(self, *words: str, mounts: Mapping[str, Path] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command with the image's settings on a read-only root file system."""
        settings = self.config["config"]
        user, group = (int(part) for part in settings["User"].split(":"))
        process = {
            "args": list(words),
            "env": settings["Env"],
            "cwd": settings.get("WorkingDir") or "/",
            "user": {"uid": user, "gid": group},
            "terminal": False,
            "noNewPrivileges": True,
        }
        self.spec["process"] = process
        self.spec["root"] = {"path": "rootfs", "readonly": True}
        usual = [mount for mount in self.spec["mounts"] if mount["destination"] != "/sys/fs/cgroup"]
        bound = [
            {"destination": inner, "type": "bind", "source": str(outer), "options": ["rbind", "ro"]}
            for inner, outer in (mounts or {}).items()
        ]
        temporary = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
        (self.directory / "config.json").write_text(json.dumps({**self.spec, "mounts": [*usual, temporary, *bound]}))
        name = f"plimsoll-test-{os.getpid()}"
        return subprocess.run(
            ["runc", "run", name], cwd=self.directory, capture_output=True, text=True, check=False, timeout=60
        )


def test_a_step_runs_as_nobody_with_its_code_and_the_base(
    server: Reference, base: str, store: LayerStore, tmp_path: Path
) -> None:
    application = tmp_path / "app"
    application.mkdir()
    script = "import bz2, ctypes, lzma, os, sqlite3, ssl, sys\nprint(os.getuid(), os.getcwd(), sys.version_info[:2])\n"
    (application / "train.py").write_text(script)
    image = step_image(store, find_base(base, store), directory=application, code=[("train.py", "")])
    with Repository(server.below("step")) as repository:
        pushed = push_image(image, repository, store)
        (tmp_path / "box").mkdir()
        container = Container(repository, pushed.reference.digest, tmp_path / "box")
    ran = container.run("sh", "-c", "python train.py")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"65532 /workspace {sys.version_info[:2]}\n"


@pytest.fixture(scope="module")
def runtime(server: Reference, base: str, store: LayerStore, directory: Path) -> Container:
    """A container of the runtime, on this machine's network."""
    image = runtime_image(store, find_base(base, store))
    (directory / "runtime").mkdir()
    with Repository(server.below("runtime")) as repository:
        pushed = push_image(image, repository, store)
        container = Container(repository, pushed.reference.digest, directory / "runtime")
    linux = container.spec["linux"]
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] != "network"]
    return container


def test_the_runtime_image_serves_a_model(runtime: Container, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    linear_model(tmp_path / "model" / "model.onnx")
    for module in ("server", "pull", "fetch"):
        ran = runtime.run("python", "-m", f"plimsoll.runtime.{module}", "--help")
        assert ran.returncode == 0, ran.stderr
    port = free_port()
    serve = (
        f"python -m plimsoll.runtime.server --name triage --model /model/model.onnx --port {port} --ready-file /tmp/r & "
        "for i in $(seq 100); do [ -e /tmp/r ] && break; sleep 0.1; done; "
        f"wget -qO- http://127.0.0.1:{port}/v2/health/ready && wget -qO- http://127.0.0.1:{port}/v2/models/triage"
    )
    ran = runtime.run("sh", "-c", serve, mounts={"/model": tmp_path / "model"})
    assert ran.returncode == 0, ran.stderr
    assert '"name":"triage"' in ran.stdout


def test_a_model_is_pulled_in_a_container_of_the_runtime(runtime: Container, server: Reference, tmp_path: Path) -> None:
    from plimsoll.registry.models import ModelRegistry
    from plimsoll.registry.transfer import push_model
    from plimsoll.registry.versions import Lineage
    from plimsoll.signing.keys import KeyRing

    models = ModelRegistry(tmp_path / "models", KeyRing(tmp_path / "keys"))
    (tmp_path / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="s", key="k")
    version = models.add("triage", {"model.onnx": tmp_path / "model.onnx"}, lineage=lineage, metrics={}, accept={})
    with Repository(server.below("triage")) as repository:
        model = push_model(models, version, repository)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for name, content in models.keys.files().items():
        (mounted / name).write_text(content, encoding="utf-8")
    command = (
        f"python -m plimsoll.runtime.pull {model} --keys /keys --output /tmp/models/triage && cat /tmp/models/*/*.onnx"
    )
    ran = runtime.run("sh", "-c", command, mounts={"/keys": mounted})
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("weights")
