from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.kinds.environment import EnvironmentResult, MakeEnvironment
from plimsoll.planning.steps import Ingredient, Step
from plimsoll.targets.local.environments import COMPLETE, environment_place, is_complete, mark_complete, python_of
from plimsoll.targets.local.session import LocalSession

STEP = Step(
    part="requirements.txt",
    key="key",
    work=MakeEnvironment(requirements="requirements.txt"),
    ingredients=(Ingredient(kind="environment", name="requirements.txt", digest="d" * 64),),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in the cache with one package, as an installer leaves it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "requirements.txt").write_text("package\n")
    place = environment_place(STEP, tmp_path)
    base = Path(os.path.realpath(sys.executable))
    python_of(place).parent.mkdir(parents=True)
    python_of(place).symlink_to(base)
    (place / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    site = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "package-1.dist-info").mkdir(parents=True)
    (site / "package.py").write_text("x = 1\n")
    record = "package.py,sha256=x,6\npackage-1.dist-info/RECORD,,\n__pycache__/package.pyc,,\n"
    (site / "package-1.dist-info" / "RECORD").write_text(record)
    mark_complete(place)
    return place


def test_an_environment_as_it_was_installed_is_used_again(place: Path, target: LocalSession, tmp_path: Path) -> None:
    assert is_complete(place)
    target.context.state.fresh_work(STEP.key)
    target.context.state.commit(STEP.key, EnvironmentResult(python=str(python_of(place))))
    assert target.result(STEP) is not None
    # The application with its results is copied to a machine with another cache.
    target.context.state.fresh_work(STEP.key)
    target.context.state.commit(STEP.key, EnvironmentResult(python=str(tmp_path / "other" / "bin" / "python")))
    assert target.result(STEP) is None


def _gone(place: Path) -> None:
    python = place / "bin" / "python"
    python.unlink()
    python.symlink_to("/gone/python3")


def _another(place: Path) -> None:
    python = place / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\necho 2.7.18 /usr\n")
    python.chmod(0o755)


def _without_file(place: Path) -> None:
    next(place.glob("lib/*/site-packages/package.py")).unlink()


def _with_other_file(place: Path) -> None:
    next(place.glob("lib/*/site-packages/package.py")).write_text("x = 12345\n")


def _without_package(place: Path) -> None:
    package = next(place.glob("lib/*/site-packages/package-1.dist-info"))
    package.rename(package.with_name("package-2.dist-info"))


def _without_marker(place: Path) -> None:
    (place / COMPLETE).write_bytes(b"")


@pytest.mark.parametrize("harm", [_gone, _another, _without_file, _with_other_file, _without_package, _without_marker])
def test_an_environment_that_is_not_as_it_was_installed_is_not_used(
    place: Path, target: LocalSession, harm: Callable[[Path], None]
) -> None:
    target.context.state.fresh_work(STEP.key)
    target.context.state.commit(STEP.key, EnvironmentResult(python=str(python_of(place))))
    harm(place)
    assert not is_complete(place)
    assert target.result(STEP) is None


def test_a_broken_environment_is_made_anew(place: Path, target: LocalSession, tmp_path: Path) -> None:
    _gone(place)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    end = list(target.start(STEP, 1))[-1]
    assert end.fact["outcome"] == "done"
    assert is_complete(place)
    assert not list(place.glob("lib/*/site-packages/package.py"))


def test_editable_packages_are_not_shared_between_applications(place: Path, tmp_path: Path) -> None:
    places = set()
    for name in ("one", "two"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "requirements.txt").write_text("-e lib\n")
        places.add(environment_place(STEP, tmp_path / name))
        (tmp_path / name / "requirements.txt").write_text("./lib\n")
        places.add(environment_place(STEP, tmp_path / name))
    assert len(places) == 3
    assert place in places


def test_an_environment_whose_interpreter_does_not_start_is_never_complete(place: Path) -> None:
    _another(place)
    with pytest.raises(TargetError, match="does not start"):
        mark_complete(place)
