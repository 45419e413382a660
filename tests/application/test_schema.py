from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from plimsoll.application.schema import json_schema
from plimsoll.application.starter import write_starter
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*/*.yaml"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_example_satisfies_the_schema(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema(KINDS.part_types))


@pytest.mark.parametrize(
    ("old", "new"),
    [("framework: xgboost", "framework: xgb"), ("workers: 2", "wokers: 2"), ("workers: 2", "workers: 0")],
)
def test_typical_mistakes_are_refused_by_the_schema_too(old: str, new: str) -> None:
    text = next(text for each in EXAMPLES if old in (text := each.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text.replace(old, new)), json_schema(KINDS.part_types))


def test_the_starter_never_replaces_a_file(tmp_path: Path) -> None:
    write_starter(tmp_path, "mine")
    (tmp_path / "train.py").write_text("my own")
    with pytest.raises(FileError, match=r"train\.py"):
        write_starter(tmp_path, "mine")
    assert (tmp_path / "train.py").read_text() == "my own"
