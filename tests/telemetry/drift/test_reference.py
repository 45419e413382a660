"""The reference of a model's training table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.runtime.model import OnnxModel
from plimsoll.telemetry.drift.build_reference import build_reference
from plimsoll.telemetry.drift.judging import compare_feature
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.reference import DriftReference, NumericFeature
from tests.runtime.conftest import linear_model

ROWS = 300


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return OnnxModel(linear_model(tmp_path_factory.mktemp("model") / "model.onnx"), "m")


def built(model: OnnxModel, table: Path) -> DriftReference:
    return build_reference(model, table, digest="sha256:1", data="sha256:2")


def numeric(reference: DriftReference) -> dict[str, NumericFeature]:
    return {one.name: one for one in reference.inputs.features if isinstance(one, NumericFeature)}


def parts(directory: Path) -> Path:
    """Values of `left` of which a third is missing, and a column `right` without any, in two parts."""
    left = [None if n % 3 == 0 else n / 10 for n in range(ROWS)]
    directory.mkdir()
    for number, rows in enumerate((left[:100], left[100:])):
        columns = {"left": pa.array(rows, pa.float64()), "right": pa.nulls(len(rows))}
        pq.write_table(pa.table(columns), directory / f"part-{number}.parquet")
    return directory


def test_missing_values_of_training_are_counted_as_missing(tmp_path: Path, model: OnnxModel) -> None:
    path = tmp_path / "t.csv"
    path.write_text("left,right\n" + "".join(f"{'' if n % 3 == 0 else n / 10},\n" for n in range(ROWS)))
    found = built(model, path)
    features = numeric(found)
    assert (found.inputs.rows, features["left"].missing, sum(features["left"].counts)) == (ROWS, 100, 200)
    assert (features["right"].missing, sum(features["right"].counts)) == (ROWS, 0)
    compared = compare_feature(
        found.inputs, features["right"], np.array([500, 0][: len(features["right"].counts)]), 0, DriftLimits()
    )
    assert compared is not None
    assert compared.large
    assert compared.direction == "missing fell from 100 % to 0 %"


def test_a_directory_of_parts_gives_the_reference_of_all_rows(tmp_path: Path, model: OnnxModel) -> None:
    feature = numeric(built(model, parts(tmp_path / "t.parquet")))["left"]
    assert (feature.missing, sum(feature.counts)) == (100, 200)


def test_a_cell_without_a_number_is_refused_with_its_place(tmp_path: Path, model: OnnxModel) -> None:
    path = tmp_path / "t.csv"
    path.write_text("left,right\n1,2\n1,two\n")
    with pytest.raises(PlimsollError) as caught:
        built(model, path)
    assert (caught.value.where, caught.value.message.startswith("column 'right' is 'two'")) == (f"{path}:3", True)
