"""`plimsoll init` where something is missing that its application needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from plimsoll.cli.verbs.init import command
from plimsoll.targets import extras


def test_the_first_line_says_what_to_install_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = CliRunner().invoke(command, ["pumps"])
    assert whole.output.splitlines()[0].endswith("pumps/plimsoll.yaml")
    monkeypatch.setattr(extras, "missing_extras", lambda: frozenset({"serve", "parquet"}))
    light = CliRunner().invoke(command, ["fans"])
    first = light.output.splitlines()[0]
    assert first.startswith("install what its service and its batch need: pip install ")
    assert "[serve]" in first
    assert "[serve]" in json.loads(CliRunner().invoke(command, ["belts", "--json"]).output)["install"]
