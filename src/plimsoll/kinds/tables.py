"""References to a table: a CSV or Parquet file of a dataset, or a directory of parts."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.loading import ApplicationFile
from plimsoll.kinds.dataset import DATASETS
from plimsoll.planning.steps import InputFile

TABLES = (".csv", ".parquet")


def check_table(file: ApplicationFile, reference: str, use: str, *at: str | int) -> None:
    """Raise FileError for a reference that is not a table; `use` begins the sentence, for example "a batch scores"."""
    DATASETS.check_reference(file, reference, *at)
    # A table of parts is a directory with the name of a table.
    if not DATASETS.source_of(file.application, reference).rstrip("/").endswith(TABLES):
        hint = "name a .csv or .parquet file or directory, for example features/live.parquet"
        raise file.error(f"{use} one table, and '{reference}' is not a table", hint, *at)


def extras_of_table(table: InputFile) -> Iterator[str]:
    """The extras that reading a table needs, as far as its name tells."""
    if (table.file or "").endswith(".parquet"):
        yield "parquet"
