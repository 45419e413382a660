"""Images are built from folders."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

import pytest

from lab.images.archive import Image, save
from lab.images.names import qualified_name
from lab.kubectl import kubectl
from tests.lab.cluster import Namespace, phase, until

ROOT = Path(__file__).parents[2]


def test_the_same_files_give_the_same_bytes_whenever_and_wherever_they_were_made(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "tool").write_text("#!/bin/sh\n")
        (folder / "bin" / "tool").chmod(0o700 if name == "one" else 0o755)
        (folder / "link").symlink_to("bin/tool")
        digests.append(save(Image(("x",), {"": folder}), tmp_path / f"{name}.tar"))
    assert digests[0] == digests[1]
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_image_is_an_oci_layout_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    digest = save(Image(("registry.example/x:1",), {"a/b": tmp_path / "file"}, user="1000"), tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:

        def read(name: str) -> bytes:
            file = archive.extractfile(name)
            assert file
            return file.read()

        described = json.loads(read("index.json"))["manifests"][0]
        assert described["digest"] == digest
        assert described["annotations"]["io.containerd.image.name"] == "registry.example/x:1"
        manifest = json.loads(read(f"blobs/sha256/{digest.removeprefix('sha256:')}"))
        config = json.loads(read(f"blobs/sha256/{manifest['config']['digest'].removeprefix('sha256:')}"))
        assert config["config"]["User"] == "1000"
        layer = archive.extractfile(f"blobs/sha256/{manifest['layers'][0]['digest'].removeprefix('sha256:')}")
        with tarfile.open(fileobj=layer) as files:
            assert files.getnames() == ["a", "a/b", "tmp"]


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("hello", "lab.plimsoll.dev/hello:latest"),
        ("hello:2", "lab.plimsoll.dev/hello:2"),
        ("team/hello", "lab.plimsoll.dev/team/hello:latest"),
        ("registry.example/hello:2", "registry.example/hello:2"),
        ("localhost:5000/hello", "localhost:5000/hello:latest"),
    ],
)
def test_a_short_name_is_completed(given: str, full: str) -> None:
    assert qualified_name(given) == full


@pytest.mark.lab
def test_a_built_image_runs_on_every_node_and_on_one_that_comes_later(namespace: Namespace, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "bin" / "busybox").chmod(0o755)
    name = f"built-{namespace.name}"
    lab("image", "build", name, f"--root={tmp_path}", "--entrypoint=/bin/busybox echo built", "--load")
    added = lab("node", "add").strip()
    try:
        for node in ("node-1", added):
            container = {"image": f"lab.plimsoll.dev/{name}:latest", "imagePullPolicy": "Never"}
            namespace.pod(f"on-{node}", wait=False, container=container, nodeName=node, restartPolicy="Never")
            until(partial(_succeeded, namespace, f"on-{node}"), limit=30, what="the end of the pod")
            assert kubectl("logs", f"on-{node}", f"-n{namespace.name}").strip() == "built"
    finally:
        lab("node", "remove", added)


def lab(*arguments: str) -> str:
    command = [sys.executable, "-m", "lab", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _succeeded(namespace: Namespace, pod: str) -> bool:
    return phase(namespace, pod) == "Succeeded"
