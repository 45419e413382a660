"""Missing extras are told before anything runs."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from pathlib import Path

import pytest

from plimsoll.engine.preparation import prepare
from plimsoll.errors import FileError, MissingExtra, install_command
from plimsoll.planning.facts import TargetFacts
from plimsoll.state.directory import StateDirectory
from plimsoll.targets import extras
from plimsoll.targets.memory import MemoryTarget

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets:
    rows: {run: echo, outputs: [train.parquet, live.csv]}
  models:
    m: {train: {run: echo, inputs: [rows]}}
  services:
    s: {model: m, drift: {reference: rows/train.parquet}, telemetry: {traces: true}}
  batches:
    b: {model: m, input: rows/live.csv}
"""


def refusal(directory: Path, *missing: str, steps: tuple[str, ...] = ()) -> FileError | None:
    (directory / "plimsoll.yaml").write_text(FILE)
    facts = TargetFacts(target="memory", cpu=4, memory=2**32, missing_extras=frozenset(missing))
    try:
        prepare(
            directory / "plimsoll.yaml", MemoryTarget(facts, state=StateDirectory(directory, "memory")), steps=steps
        )
    except FileError as error:
        return error
    return None


def test_all_missing_extras_are_told_at_once_with_the_steps_that_need_them(tmp_path: Path) -> None:
    found = refusal(tmp_path, "serve", "parquet", "s3")
    assert found is not None
    assert found.message == "serve/s, score/b need the extras 'serve' and 'parquet', which are not installed"
    assert found.where.endswith("plimsoll.yaml:10:5")
    assert found.hint == install_command(("serve", "parquet"))


@pytest.mark.parametrize(("missing", "step"), [("drift", "serve/s"), ("otel", "serve/s"), ("parquet", "serve/s")])
def test_an_extra_is_needed_by_what_uses_it(tmp_path: Path, missing: str, step: str) -> None:
    found = refusal(tmp_path, missing)
    assert found is not None
    assert found.message == f"{step} needs the extra '{missing}', which is not installed"


def test_steps_that_need_no_extra_run_without(tmp_path: Path) -> None:
    assert refusal(tmp_path) is None
    assert refusal(tmp_path, "serve", "drift", steps=("register/m",)) is None
    assert refusal(tmp_path, "s3", "gcs") is None


def test_every_extra_that_is_looked_for_is_one_of_the_package_and_its_modules_are_of_its_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = project["optional-dependencies"]
    for extra, modules in extras.MODULES.items():
        packages = {line.split(">")[0].split("[")[0].replace("-", "_") for line in declared[extra]}
        for module in modules:
            names = (module, f"py{module}", module.rpartition(".")[2])
            assert any(each.startswith(names) for each in packages), (extra, module)


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'plimsoll[serve,parquet]'"),
        ({"url": "file:///a%20b/plimsoll", "dir_info": {}}, "pip install '/a b/plimsoll[serve,parquet]'"),
        ({"url": "file:///a", "dir_info": {"editable": True}}, "pip install -e '/a[serve,parquet]'"),
        (
            {"url": "https://example.org/p.git", "vcs_info": {"vcs": "git"}},
            "pip install 'plimsoll[serve,parquet] @ git+https://example.org/p.git'",
        ),
    ],
)
def test_the_command_installs_from_where_plimsoll_came(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, command: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return json.dumps(origin) if origin else None

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Installed())
    assert install_command(("serve", "parquet")) == command
    assert "[serve]" in MissingExtra("serve", "x").hint


def test_a_library_that_this_system_cannot_load_is_told_from_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text(
        "raise ImportError('libmvec.so.1: cannot open shared object file: No such file or directory')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    told = {}
    for name in ("broken_library", "absent_library"):
        try:
            importlib.import_module(name)
        except ImportError:
            told[name] = str(MissingExtra("retrieval", "an index"))
    assert "cannot be loaded: libmvec.so.1: cannot open" in told["broken_library"]
    assert "not installed" in told["absent_library"]
