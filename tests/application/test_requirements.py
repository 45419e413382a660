from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.application.digests import Digests
from plimsoll.application.environment import environment_digest
from plimsoll.application.requirements import read_requirements
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS

APPLICATION = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  environment: {requirements: requirements.txt}
  datasets: {one: {run: echo 1, outputs: [x]}}
"""
Digest = Callable[[str], str]


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    """Writes the requirements file of an application with a package in `lib`, and gives its digest."""
    for name in ("lib/package/__init__.py", "lib/pyproject.toml", "sub/base.txt", "pins.txt", "more pins.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "package-1-py3-none-any.whl").write_text("\n")
    (tmp_path / "plimsoll.yaml").write_text(APPLICATION)

    def digest(text: str) -> str:
        (tmp_path / "requirements.txt").write_text(text)
        file = KINDS.load(tmp_path / "plimsoll.yaml")
        return environment_digest(file, Digests(tmp_path / "digests.json"))[1]

    return digest


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("-r sub/base.txt  # shared", "sub/base.txt"),
        ("-rsub/base.txt", "sub/base.txt"),
        ("--requirement=sub/base.txt", "sub/base.txt"),
        ("--requirement sub/base.txt", "sub/base.txt"),
        ("--requirem sub/base.txt", "sub/base.txt"),
        ("-r \\\n  sub/base.txt", "sub/base.txt"),
        ("-c pins.txt", "pins.txt"),
        ("-cpins.txt", "pins.txt"),
        ("--constraint=pins.txt", "pins.txt"),
        ('-r "more pins.txt"', "more pins.txt"),
        ("./lib", "lib/package/__init__.py"),
        ("lib/", "lib/package/__init__.py"),
        ("./lib[fast] ; python_version > '3'", "lib/package/__init__.py"),
        ("package @ file:./lib", "lib/package/__init__.py"),
        ("file:lib#egg=package", "lib/package/__init__.py"),
        ("-e lib", "lib/package/__init__.py"),
        ("-elib", "lib/pyproject.toml"),
        ("--editable=./lib", "lib/package/__init__.py"),
        ("wheels/package-1-py3-none-any.whl --hash=sha256:00", "wheels/package-1-py3-none-any.whl"),
        ("--find-links wheels\npackage", "wheels/package-1-py3-none-any.whl"),
        ("${HERE}/lib", "lib/package/__init__.py"),
    ],
)
def test_what_a_line_names_is_part_of_the_environment(
    digest: Digest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, changed: str
) -> None:
    monkeypatch.setenv("HERE", str(tmp_path))
    before = digest(line)
    (tmp_path / changed).write_text("changed\n")
    assert digest(line) != before


def test_an_included_file_includes_files_relative_to_itself(digest: Digest, tmp_path: Path) -> None:
    (tmp_path / "sub" / "base.txt").write_text("-r ../pins.txt\n-r base.txt\n")
    before = digest("-r sub/base.txt")
    (tmp_path / "pins.txt").write_text("changed\n")
    assert digest("-r sub/base.txt") != before


def test_a_linked_package_is_followed(digest: Digest, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "code.py").write_text("")
    (outside / "around").symlink_to(outside)
    (tmp_path / "lib" / "linked").symlink_to(outside)
    before = digest("./lib")
    (outside / "code.py").write_text("changed")
    assert digest("./lib") != before


def test_what_a_build_leaves_and_the_application_file_are_not_part_of_a_package(digest: Digest, tmp_path: Path) -> None:
    before = digest("./lib\n-e .")
    for name in ("lib/build/lib/package/__init__.py", "lib/package.egg-info/PKG-INFO", "lib/target/CACHEDIR.TAG"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("made")
    (tmp_path / "plimsoll.yaml").write_text(APPLICATION.replace("echo 1", "echo 2"))
    # `.` holds the made files too, in directories of the package `lib`.
    for name in ("build", "target"):
        (tmp_path / "lib" / name).rename(tmp_path / name)
    assert digest("./lib\n-e .") == before


def test_equal_texts_with_other_packages_are_other_environments(digest: Digest, tmp_path: Path) -> None:
    before = digest("./lib")
    (tmp_path / "lib").rename(tmp_path / "other")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "pyproject.toml").write_text("[project]\nname = 'package'\n")
    assert digest("./lib") != before


def test_the_value_of_a_variable_counts_but_not_a_password(digest: Digest, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for release, token in (("1", "secret"), ("2", "secret"), ("2", "other")):
        monkeypatch.setenv("RELEASE", release)
        monkeypatch.setenv("TOKEN", token)
        text = "package==${RELEASE}\nmore @ https://me:${TOKEN}@example.org/more.whl\n-i https://${TOKEN}@example.org"
        found.append(digest(text))
    assert found[0] != found[1] == found[2]


def test_constraints_that_a_variable_gives_to_the_installer_count(
    digest: Digest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONSTRAINT", "pins.txt https://example.org/pins.txt")
    before = digest("package")
    (tmp_path / "pins.txt").write_text("package==2\n")
    assert digest("package") != before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("# first\n-r nothing.txt", "requirements.txt:2: {}/nothing.txt does not exist"),
        ("package \\\n  ==1\n./nothing", "requirements.txt:3: the package ./nothing does not exist"),
        ("-r https://example.org/base.txt", "requirements.txt:1: the included file https://example.org/base.txt is at"),
    ],
)
def test_a_line_that_names_nothing_is_refused_with_its_place(
    digest: Digest, tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(FileError) as refused:
        digest(line)
    assert message.format(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    "line",
    ["", "# -r nothing.txt", "lib", "name  # -r nothing.txt", "./gone ; sys_platform == 'win32'", "--unknown -r x.txt"],
)
def test_what_names_no_file_reads_none(digest: Digest, tmp_path: Path, line: str) -> None:
    digest(line)
    assert read_requirements(tmp_path, "requirements.txt").packages == ()


def test_only_lines_that_uv_refuses_need_pip(digest: Digest, tmp_path: Path) -> None:
    for text, expected in (("-rpins.txt", True), ("--constrain pins.txt", True), ("-r pins.txt\n--pre", False)):
        digest(text)
        assert read_requirements(tmp_path, "requirements.txt").only_pip is expected


def test_a_byte_order_mark_and_a_declared_encoding_are_read_as_pip_does(digest: Digest, tmp_path: Path) -> None:
    for content in ("-r pins.txt".encode("utf-16"), "# coding: latin-1\n-r pins.txt # ß".encode("latin-1")):
        (tmp_path / "requirements.txt").write_bytes(content)
        assert len(read_requirements(tmp_path, "requirements.txt").files) == 2


def test_a_project_file_has_no_lines_of_requirements(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nHome = "https://example.org/x"\nOther = "./gone"\n')
    assert read_requirements(tmp_path, "pyproject.toml").packages == ()


def test_a_pipe_in_a_place_of_a_file_is_refused_without_waiting(digest: Digest, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "package.whl")
    with pytest.raises(FileError, match="not a regular file"):
        digest("./package.whl")
