"""What the pages of the examples show is what happens: their commands are run, and their figures are those of today."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_docs import commands, matches

from .scripts import EXAMPLES

pytestmark = [pytest.mark.series, pytest.mark.slow, pytest.mark.timeout(3600)]
ROW = re.compile(r"^\| (.+?) \|((?: [\d.]+ \|)+)$", re.MULTILINE)
NEAR = 0.04
"""Processors differ in the last bits of vectors and trees, and with them a few of the questions."""


@pytest.mark.parametrize("example", ["maintenance", "shop", "fraud", "traffic"])
def test_the_commands_of_an_example_do_what_its_page_shows(example: str, tmp_path: Path) -> None:
    directory = tmp_path / example
    shutil.copytree(
        EXAMPLES / example,
        directory,
        ignore=shutil.ignore_patterns(".plimsoll", "__pycache__", "*.token", "tokens.json", "payments.csv"),
    )
    page = (directory / "README.md").read_text()
    shown = commands(page)
    assert shown
    try:
        for command, expected in shown:
            printed = iter(said(command, directory).splitlines())
            for line in expected:
                if line.strip() != "…":
                    assert any(matches(line, other) for other in printed), f"{command}\n{line}"
    finally:
        said("plimsoll down", directory, check=False)
    told = json.loads((directory / ".plimsoll" / "figures.json").read_text())
    for name, figures in rows_of(told).items():
        assert_page_says(page, name, figures)


def said(command: str, directory: Path, *, check: bool = True) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(directory / "config"),
        "COLUMNS": "110",
    }
    ended = subprocess.run(
        command, shell=True, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0 or not check, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def rows_of(told: Mapping[str, Any]) -> dict[str, list[float]]:
    """Each row of each table, by its name, without the numbers of orders."""
    found: dict[str, list[float]] = {}
    for table, rows in told.items():
        for name, row in rows.items() if isinstance(rows, dict) else ():
            values = [each[0] if isinstance(each, list) else each for each in row.values()]
            found[f"{table}: {name}"] = [each for each in values if isinstance(each, float)]
    return found


def assert_page_says(page: str, name: str, figures: list[float]) -> None:
    """One of the rows with this name has these figures; what stands in brackets is their interval."""
    row = name.partition(": ")[2]
    plain = re.sub(r" \(\d[^)|]*\)|\*\*", "", page)
    rows = [re.findall(r"\d\.\d+", cells) for title, cells in ROW.findall(plain) if title == row]
    assert any(
        len(cells) == len(figures)
        and all(abs(float(each) - figure) <= NEAR for each, figure in zip(cells, figures, strict=True))
        for cells in rows
    ), f"{name}: the page says {rows}, measured {figures}"
