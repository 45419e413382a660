"""What `import plimsoll` gives, and that it stays quick to import."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import plimsoll

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_every_name_on_the_public_list_is_there_once() -> None:
    assert sorted(plimsoll.__all__) == sorted(set(plimsoll.__all__))
    assert all(getattr(plimsoll, name) is not None for name in plimsoll.__all__)
    assert dir(plimsoll) == sorted(plimsoll.__all__)


def test_every_public_name_is_documented() -> None:
    text = PAGE.read_text()
    assert [name for name in plimsoll.__all__ if not name.startswith("_") and f"`{name}`" not in text] == []


def test_every_public_class_and_function_has_a_docstring_and_types() -> None:
    for name in plimsoll.__all__:
        found = getattr(plimsoll, name)
        if callable(found):
            assert inspect.getdoc(found), name
    for owner in (plimsoll.Application, plimsoll.ServiceClient):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                assert method.__doc__, name
                assert "return" in method.__annotations__, name


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'plimsoll' has no attribute 'lode'"):
        _ = plimsoll.lode


def test_importing_the_package_imports_none_of_its_parts() -> None:
    code = "import sys, plimsoll; print([m for m in sys.modules if m.startswith('plimsoll.') or m == 'msgspec'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_examples_of_the_page_run_in_their_order(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    command = [sys.executable, "-m", "plimsoll", "init", "pumps"]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=True)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train/wear runs new" in done.stdout


def test_a_mistake_in_the_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text("apiVersion: plimsoll.dev/v1alpha1\nkind: Pod\n")
    with pytest.raises(plimsoll.FileError) as caught:
        plimsoll.load(tmp_path)
    assert caught.value.where.endswith("plimsoll.yaml:2:7")
    assert caught.value.message == "'kind' must be Application, got the text 'Pod'"
