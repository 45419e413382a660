"""Components have pins, and a changed pin or source rebuilds exactly its component."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.addons import catalogue
from lab.build import cache, components
from lab.build.alignment import replacements as aligned
from lab.build.components import BY_NAME, Component
from lab.build.go import go_program
from lab.build.pin import replacements
from lab.errors import LabError


@pytest.mark.parametrize("name", BY_NAME)
def test_every_component_is_pinned_with_sums(name: str) -> None:
    component = BY_NAME[name]
    assert component.version
    assert (component.folder / "go.sum").stat().st_size > 0


@pytest.mark.parametrize("name", catalogue.ADDONS)
def test_every_add_on_has_its_room_and_its_components(name: str) -> None:
    from importlib import import_module

    addon = catalogue.ADDONS[name]
    assert all(component in BY_NAME for component in addon.components)
    assert callable(getattr(import_module(f"lab.addons.{addon.module}"), name.replace("-", "_")))


def test_an_unknown_add_on_is_named_with_those_that_there_are() -> None:
    with pytest.raises(LabError, match="unknown add-on 'jobsets'; known add-ons: jobset"):
        catalogue.components_of(["jobsets"])


def test_what_an_add_on_needs_is_built_with_it_and_once() -> None:
    wanted = catalogue.components_of(["custom-metrics", "prometheus"])
    assert wanted == ["prometheus-operator", "prometheus", "prometheus-adapter"]


def test_a_changed_pin_or_source_changes_that_components_key_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        go_program()
    except LabError:
        pytest.skip("needs Go: its version is part of the key")
    shutil.copytree(components.COMPONENTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(components, "COMPONENTS", tmp_path)
    copies = {name: dataclasses.replace(component) for name, component in BY_NAME.items()}
    before = {name: cache.key(copy) for name, copy in copies.items()}
    for path in (tmp_path / "etcd" / "go.sum", tmp_path / "programs" / "forward" / "main.go"):
        path.write_text(path.read_text() + "// changed\n")
    after = {name: cache.key(dataclasses.replace(copy)) for name, copy in copies.items()}
    assert {name for name in before if before[name] != after[name]} == {"etcd", "programs"}


def test_upstreams_local_replacements_become_published_modules() -> None:
    text = "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tx.y/z => a.b/z v1.2.3 // why\n\tq => ../q\n)\n"
    assert replacements(text, "v1.37.2") == ["k8s.io/api => k8s.io/api v0.37.2", "x.y/z => a.b/z v1.2.3"]


def test_a_failed_build_says_what_go_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        go_program()
    except LabError:
        pytest.skip("needs Go")
    # With another cache folder Go would compile its runtime again. GOCACHE keeps its cache of compiled packages.
    ask = [go_program(), "env", "GOCACHE"]
    monkeypatch.setenv("GOCACHE", subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(components, "COMPONENTS", tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "go.mod").write_text("module broken\n\ngo 1.24\n")
    (tmp_path / "broken" / "go.sum").write_text("")
    (tmp_path / "broken" / "main.go").write_text("package main\n\nfunc main() { nonsense }\n")
    broken = Component("broken", "broken", {"broken": "."}, local=True)
    with pytest.raises(LabError, match="undefined: nonsense"):
        cache.ensure(broken, lambda _: None)
    assert not cache.is_built(broken)
    assert not list((tmp_path / "cache" / "plimsoll" / "lab" / "programs").iterdir())


@pytest.mark.parametrize("name", ["programs", "scale"])
def test_the_labs_own_programs_require_what_its_kubernetes_requires_so_that_go_compiles_it_once(name: str) -> None:
    own, kubernetes = (requirements(BY_NAME[each]) for each in (name, "kubernetes"))
    shared = own.keys() & kubernetes.keys()
    assert "k8s.io/client-go" in shared
    assert {each: own[each] for each in shared} == {each: kubernetes[each] for each in shared}


def requirements(component: Component) -> dict[str, str]:
    text = (component.folder / "go.mod").read_text()
    return dict(re.findall(r"^(?:\trequire |\t)(\S+) (v\S+)", text, re.MULTILINE))


def test_a_changed_pin_of_a_member_changes_the_key_of_its_whole_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        go_program()
    except LabError:
        pytest.skip("needs Go: its version is part of the key")
    members = {each.name for each in BY_NAME.values() if each.workspace}
    shutil.copytree(components.COMPONENTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(components, "COMPONENTS", tmp_path)
    before = {each: cache.key(dataclasses.replace(BY_NAME[each])) for each in BY_NAME}
    changed = tmp_path / min(members) / "go.mod"
    changed.write_text(changed.read_text() + "// changed\n")
    after = {each: cache.key(dataclasses.replace(BY_NAME[each])) for each in BY_NAME}
    assert len(members) > 1
    assert {each for each in BY_NAME if before[each] != after[each]} == members


def test_members_take_the_leaders_version_of_what_both_use() -> None:
    members = {"k8s.io/api": "v0.35.0", "k8s.io/klog": "v2.1.0", "golang.org/x/net": "v0.61.0", "only.mine": "v1.0.0"}
    leader = {"k8s.io/api": "v0.34.2", "k8s.io/klog": "v2.1.0", "golang.org/x/net": "v0.57.0"}
    assert aligned(members, leader, ("k8s.io/",)) == ["k8s.io/api => k8s.io/api v0.34.2"]
    assert aligned(members, leader, ("",)) == [
        "golang.org/x/net => golang.org/x/net v0.57.0",
        "k8s.io/api => k8s.io/api v0.34.2",
    ]
