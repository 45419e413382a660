"""What the documents say is run, and what they name is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.application.parts import Environment, Resources
from plimsoll.cli.main import VERBS
from plimsoll.kinds.model import Train
from plimsoll.kinds.table import KINDS
from plimsoll.submission.rules import NOT_YAML, RULES

from .anchors import ROOT, anchors

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a document's consoles, with the lines that it must print."""
    found: list[tuple[str, list[str]]] = []
    for block in CONSOLE.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def matches(expected: str, printed: str) -> bool:
    """`…` stands for anything; runs of spaces for each other."""
    parts = [re.escape(" ".join(part.split())) for part in expected.split("…")]
    return re.fullmatch(r"\s*" + ".*".join(parts) + r"\s*", " ".join(printed.split())) is not None


def with_console(path: Path) -> object:
    marks = [pytest.mark.lab] if path.name == "lab.md" else [pytest.mark.slow]
    if path.name == "predictors.md":
        # It makes environments of scikit-learn, LightGBM and torch.
        marks.append(pytest.mark.series)
    return pytest.param(path, id=path.name, marks=marks)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("document", [with_console(path) for path in DOCUMENTS if "```console" in path.read_text()])
def test_every_command_of_a_document_does_what_it_shows(document: Path, tmp_path: Path) -> None:
    directory = tmp_path
    # The lab's own kubectl.
    extra = [str(folder_of(BY_NAME["kubernetes"]))] if document.name == "lab.md" else []
    environment = {
        **os.environ,
        "PATH": ":".join([str(Path(sys.executable).parent), *extra, os.environ["PATH"]]),
        # The lab is run from the tree.
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "110",
    }
    if "$ cd examples/" in document.read_text():
        shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".plimsoll"))
    for command, expected in commands(document.read_text()):
        if command.startswith("cd "):
            directory = directory / command[3:]
            continue
        ended = subprocess.run(
            command, shell=True, cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        printed = iter(ended.stdout.splitlines())
        for line in expected:
            if line.strip() != "…":
                assert any(matches(line, other) for other in printed), f"{command}\n{line}\n{ended.stdout}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            page = document.parent / path if path else document
            assert page.exists(), link
            assert not anchor or anchor in anchors(page), link


def test_every_key_of_the_file_is_explained() -> None:
    text = (ROOT / "docs" / "application.md").read_text()
    parts = [kind.part for kind in KINDS if kind.works]
    types: list[type[Struct]] = [Environment, Resources, Train, *parts]
    names = {field.encode_name for each in types for field in msgspec.structs.fields(each)}
    names |= {kind.key for kind in KINDS} | {"environment", "targets"}
    assert len(names) > 25
    assert [name for name in sorted(names) if not re.search(rf"`(\w+\.)*(NAME\.)?{name}(\.\w+)?`", text)] == []


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    block = project.partition("dependencies = [")[2].partition("[project.scripts]")[0]
    names = set(re.findall(r'"([A-Za-z0-9_-]+)(?:\[\w+\])?[>=]', block))
    assert len(names) > 10
    assert [name for name in sorted(names) if name not in text] == []


def test_every_rule_of_lint_has_a_heading_and_no_heading_is_of_a_rule_that_is_gone() -> None:
    headings = re.findall(r"^### (.+)$", (ROOT / "docs" / "lint.md").read_text(), re.MULTILINE)
    assert headings == [NOT_YAML, *(rule.id for rule in RULES)]


def test_the_readme_names_only_verbs_that_there_are() -> None:
    used = set(re.findall(r"^plimsoll ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert used
    assert used <= set(VERBS)


def test_the_changelog_has_the_version_that_is_installed() -> None:
    from plimsoll import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert "[Unreleased]" in text or f"[{__version__}]" in text
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
