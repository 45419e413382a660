from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.table import KINDS

GOOD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: maintenance}
spec:
  datasets:
    orders: {source: orders.csv}
    features:
      run: python prepare.py
      inputs: [orders]
      outputs: [train.parquet, live.parquet]
  models:
    triage:
      train:
        run: python train.py
        inputs: [features]
        framework: xgboost
        workers: 2
        resources: {cpu: 1, memory: 1Gi}
      accept: {accuracy: ">= 0.9"}
  services:
    triage: {model: triage}
  batches:
    backlog: {model: triage, input: features/live.parquet}
"""


def loaded(directory: Path, text: str) -> ApplicationFile:
    path = directory / "plimsoll.yaml"
    path.write_text(text, encoding="utf-8")
    (directory / "orders.csv").write_text("a\n1\n")
    file = KINDS.load(path)
    KINDS.check(file)
    return file


def mistake(directory: Path, text: str) -> FileError:
    with pytest.raises(FileError) as caught:
        loaded(directory, text)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_good_file_becomes_typed_values(tmp_path: Path) -> None:
    file = loaded(tmp_path, GOOD)
    assert file.application.name == "maintenance"
    train = MODELS.of(file.application)["triage"].train
    assert train
    assert train.workers == 2
    assert MODELS.of(file.application)["triage"].accept == {"accuracy": ">= 0.9"}


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        (
            "triage: {model: triage}",
            "triage: {model: triage, sample: {x: {shape: [1, 3], data: [1, 2]}}}",
            "21:63",
            "data has 2 values, the shape [1, 3] needs 3",
        ),
        ("workers: 2", "worker: 2", "17:9", "did you mean 'workers'?"),
        ("workers: 2", "workers: two", "17:18", "expected a whole number, got the text 'two'"),
        ("workers: 2", "workers: 0", "17:18", "must be at least 1"),
        ("workers: 2", "workers: yes", "17:18", "got the truth value true"),
        ("framework: xgboost", "framework: xgbost", "16:20", "did you mean 'xgboost'?"),
        ("memory: 1Gi", "memory: 1 potato", "18:37", "for example 512Mi, 2Gi"),
        ("memory: 1Gi", "memory: 512", "18:37", "got the number 512"),
        ("memory: 1Gi", "memory: " + "1" * 400 + "Gi", "18:37", "for example 512Mi, 2Gi"),
        ("memory: 1Gi", "memory: 9999999Ti", "18:37", "for example 512Mi, 2Gi"),
        ("workers: 2", "timeout: 9999999h", "17:18", "for example 50ms, 60s, 2h"),
        ("model: triage}\n  batches", "model: triage@" + "9" * 5000 + "}\n  batches", "21:21", "for example triage, triage@2"),
        ("inputs: [features]", "inputs: features", "15:17", "write [features]"),
        ("inputs: [features]", "inputs: [feature]", "15:18", "did you mean 'features'?"),
        ("inputs: [features]", "inputs: [features/tran.parquet]", "15:18", "did you mean 'train.parquet'?"),
        ("inputs: [features]", "inputs: [features/../secret]", "15:18", "'../secret' is not below the dataset 'features'"),
        ("inputs: [features]", "inputs: [features//etc/passwd]", "15:18", "is not below the dataset 'features'"),
        ("inputs: [features]", "inputs: [features/a/../../b]", "15:18", "use a relative path without '..'"),
        ("input: features/live.parquet", "input: features/../live.parquet", "23:37", "is not below the dataset 'features'"),
        ('accuracy: ">= 0.9"', 'accuracy: ">== 0.9"', "19:26", "for example >= 0.9"),
        ("model: triage}\n  batches", "model: traige}\n  batches", "21:21", "did you mean 'triage'?"),
        ("model: triage}\n  batches", "model: triage:best}\n  batches", "21:21", "expected `name` or `name@version` of a model, got `triage:best`\n  for example triage, triage@2"),
        ("model: triage}\n  batches", "model: 3}\n  batches", "21:21", "expected text or a list, got the number 3"),
        ("resources: {cpu: 1, memory: 1Gi}", "resources: 4", "18:20", "expected a mapping with the keys cpu, memory, accelerators, accelerator, slice, spot, got the number 4"),
        ("source: orders.csv", "source: order.csv", "6:22", "did you mean 'orders.csv'?"),
        ("source: orders.csv", "sorce: orders.csv", "6:14", "did you mean 'source'?"),
        ("      run: python prepare.py\n", "", "7:5", "neither `source` nor `run`"),
        ("      outputs: [train.parquet, live.parquet]\n", "", "7:5", "has no `outputs`"),
        ("[train.parquet, live", "[../train.parquet, live", "10:17", "not below $PLIMSOLL_OUTPUT"),
        ("input: features/live.parquet", "input: features", "23:37", "a batch scores one table"),
        ("    features:\n", "    orders:\n", "7:5", "duplicate key 'orders'"),
        ("    features:\n", "    !!python/none features:\n", "7:5", "a key must be text, not '!!python/none'"),
        ("    features:\n", "    !!binary aGk=:\n", "7:5", "a key must be text, not '!!binary'"),
        ("    features:\n", "    !!int features:\n", "7:5", "this value cannot be read"),
        ("{name: maintenance}", "{name: Maintenance!}", "3:18", "lower-case letters"),
        ("kind: Application", "kind: Pod", "2:7", "'kind' must be Application"),
        ("metadata: {name: maintenance}\n", "", "1:1", "has no key 'metadata'"),
        ("services:\n    triage: {model: triage}", "services:\n    triage: {model: triage, scale: {min: 3, max: 2}}", "21:42", "scale.min is more than scale.max"),
        ("model: triage}\n  b", "model: [{model: triage, weight: 90}, {model: other@1, weight: 10}]}\n  b", "21:59", "there is no model"),
        ("model: triage}\n  b", "model: [{model: triage, weight: 90}, {model: triage, weight: 10}]}\n  b", "21:59", "is named twice"),
        ("services:\n", "edges: {a: {services: [triage]}}\n  services:\n", "20:11", "has no key 'registry'"),
        ("services:\n", "assistants: {a: {index: orders, llm: m}}\n  services:\n", "20:27", "there is no index 'orders'"),
        ("model: triage}\n  b", "model: [{model: triage, weight: 90}, {model: triage, weight: 9}]}\n  b", "21:21", "sum to 99"),
        ("orders: {source: orders.csv}", "orders: {run: a, inputs: [features], outputs: [x]}", "6:30", "need each other"),
        ("orders: {source", "orders: {source: [", "", "this is not YAML"),
        ("spec:\n", "spec:\n\tx: 1\n", "5:1", "indent with spaces"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_place_and_what_was_meant(
    tmp_path: Path, old: str, new: str, place: str, says: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    error = mistake(tmp_path, text)
    assert says in str(error)
    assert f"plimsoll.yaml:{place}" in error.where


def test_names_that_give_one_variable_are_refused(tmp_path: Path) -> None:
    inputs = GOOD.replace("inputs: [features]", "inputs: [features/train.parquet, features/live.parquet]")
    assert "PLIMSOLL_INPUT_FEATURES" in str(mistake(tmp_path, inputs))


@pytest.mark.parametrize("content", ["", "# nothing\n", "[1, 2]", "just text", "a: 1\n---\nb: 2\n"])
def test_what_is_no_application_is_refused(tmp_path: Path, content: str) -> None:
    assert mistake(tmp_path, content).message


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="plimsoll init"):
        KINDS.load(tmp_path / "plimsoll.yaml")


@pytest.mark.slow
def test_nested_aliases_cannot_fill_the_memory(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "more than 200000 values" in mistake(tmp_path, bomb).message


def test_an_alias_that_contains_itself_is_refused(tmp_path: Path) -> None:
    assert mistake(tmp_path, "a: &a [*a]\n").message == "this alias refers to a value that contains it"


def test_several_mistakes_are_all_named(tmp_path: Path) -> None:
    text = GOOD.replace("workers:", "wrkers:").replace("framework: xgboost", "framework: xgb")
    assert "and 1 more" in mistake(tmp_path, text).hint


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in paths_of(item, (*path, key)))]


DOCUMENT = yaml.safe_load(GOOD)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3))  # fmt: skip


@pytest.mark.slow
@settings(deadline=None)
@given(path=st.sampled_from(paths_of(DOCUMENT)[1:]), value=VALUES)
def test_any_value_anywhere_loads_or_is_told_with_a_line(
    path: tuple[Any, ...], value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = copy.deepcopy(DOCUMENT)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    directory = tmp_path_factory.mktemp("file")
    try:
        loaded(directory, yaml.safe_dump(document, allow_unicode=True))
    except FileError as error:
        assert "plimsoll.yaml:" in error.where
        assert error.message


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_loads_or_is_told(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("file") / "plimsoll.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(FileError):
        KINDS.load(path)
