from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Plimsoll = Callable[..., subprocess.CompletedProcess[str]]
ENVIRONMENT = {**os.environ, "COLUMNS": "100", "PYTHONWARNINGS": "error"}


@pytest.fixture
def plimsoll(tmp_path: Path) -> Plimsoll:
    """Runs the command in the test's directory, with keys of its own."""

    def plimsoll(*arguments: str, limit: float = 55, **environment: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "plimsoll", *arguments],
            cwd=tmp_path,
            env={**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config"), **environment},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        assert "Traceback" not in ended.stderr + ended.stdout
        return ended

    return plimsoll


def write(directory: Path, datasets: str, **files: str) -> None:
    head = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n"
    (directory / "plimsoll.yaml").write_text(head + datasets)
    for name, text in files.items():
        (directory / name.replace("_py", ".py")).write_text(text)


def answer(ended: subprocess.CompletedProcess[str]) -> Any:
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, ended.stdout + ended.stderr
    return json.loads(lines[0])
