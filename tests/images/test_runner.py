"""The layers that run a whole application in a pod."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.images.base import own_architecture
from plimsoll.images.dependencies import PythonTarget, running_python_version
from plimsoll.images.layers import LayerStore
from plimsoll.images.runtime import RUNTIME_DIRECTORY, runner_layers

FILE = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: t}\nspec:\n  datasets: {a: {run: echo, outputs: [x]}}\n"
INSIDE = """
from plimsoll.images.runtime import command_line_packages, required_packages
found = required_packages((), command_line_packages())
assert {"click", "jinja2", "msgspec", "httpx2", "pyyaml"} <= set(found), found
assert all(package.files for package in found.values()), "their lists of files are there"
from plimsoll.cli.main import main
main()
"""


@pytest.mark.slow
def test_the_command_runs_from_its_layers_alone_and_finds_what_layers_are_made_of(tmp_path: Path) -> None:
    store = LayerStore(tmp_path / "layers")
    python = PythonTarget(version=running_python_version(), architecture=own_architecture())
    for layer in runner_layers(store, python):
        with tarfile.open(store.path(layer.descriptor.digest)) as archive:
            archive.extractall(tmp_path / "root", filter="data")
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    ended = subprocess.run(
        # Without the packages of this environment.
        [sys.executable, "-S", "-c", INSIDE, "plan"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "root" / RUNTIME_DIRECTORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "1 of 1 steps would run" in ended.stdout


def test_a_base_image_with_another_python_is_refused(tmp_path: Path) -> None:
    other = PythonTarget(version="3.7", architecture=own_architecture())
    with pytest.raises(TargetError, match=r"the base image has Python 3\.7"):
        runner_layers(LayerStore(tmp_path), other)
