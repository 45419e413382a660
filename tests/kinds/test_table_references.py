from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets: {parts: {source: SOURCE}}
  models: {m: {train: {run: python train.py}}}
  batches: {b: {model: m, input: parts}}
"""


def check(directory: Path, source: str) -> None:
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("SOURCE", source))
    KINDS.check(KINDS.load(path))


@pytest.mark.parametrize("source", ["t.parquet", "t.parquet/", "./t.parquet//"])
def test_a_directory_with_the_name_of_a_table_is_a_table(tmp_path: Path, source: str) -> None:
    (tmp_path / "t.parquet").mkdir()
    check(tmp_path, source)


def test_another_directory_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    with pytest.raises(FileError, match="is not a table") as caught:
        check(tmp_path, "parts")
    assert caught.value.where.endswith(":7:34")
