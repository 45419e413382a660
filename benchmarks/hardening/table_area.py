"""CSV and Parquet tables as inputs of models, compared cell by cell with a strict reading of the same file."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.hardening.mutation import mutated
from benchmarks.hardening.reference import KINDS, Refused, decimal, element

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
TRUTH: dict[Any, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}
"""What a table may mean by a truth value."""
CELLS = (
    "1", "-1", "0", "1.5", "1e3", " 7 ", "1_5", "٣", "0x1", "9007199254740993", "-9223372036854775808", "1e999", "inf",
    "nan", "", "true", "a", "é", '"', "a,b", "a\nb", "\u202e", "16777217", "1e39", "NULL", "2024-01-01",
)  # fmt: skip
ROWS = 7
"""Rows at once: small, so that tables have several chunks."""


class TableArea:
    """Tables of two columns `a` and `b`. The first line of an input is the form and the datatype of the tensors."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def made(self, random: Random) -> bytes:
        """A valid or a changed table."""
        form = random.choice(("csv", "parquet"))
        raw = _csv(random) if form == "csv" else _parquet(random)
        if random.random() < 0.5:
            raw = mutated(random, raw)
        return f"{form} {random.choice(list(KINDS))}\n".encode() + raw

    def attempt(self, raw: bytes) -> str | None:
        """Read it for a model with an input for each column."""
        first, _, content = raw.partition(b"\n")
        form, datatype = first.decode().split()
        path = self._directory / f"table.{form}"
        path.write_bytes(content)
        found = _read(path, datatype)
        if not any(found.values()):
            return None
        cells = _csv_cells(content, datatype) if form == "csv" else _parquet_cells(path)
        return _problem(found, cells, datatype)


def _read(path: Path, datatype: str) -> dict[str, list[Any]]:
    """The columns as the model gets them. Raises PlimsollError."""
    from plimsoll.runtime.specs import ModelSpec, TensorSpec
    from plimsoll.runtime.tables.layout import input_layout
    from plimsoll.runtime.tables.table import Table

    inputs = tuple(TensorSpec(name=name, datatype=datatype, shape=(-1,)) for name in ("a", "b"))
    spec = ModelSpec(name="m", inputs=inputs, outputs=())
    found: dict[str, list[Any]] = {"a": [], "b": []}
    table = Table(path)
    layout = input_layout(table, spec)
    for chunk in table.chunks(ROWS, layout.names):
        for name, array in layout.tensors(chunk).items():
            found[name] += array.tolist()
    return found


def _problem(found: dict[str, list[Any]], cells: dict[str, list[Any]], datatype: str) -> str | None:
    for name, column in found.items():
        if len(column) != len(cells[name]):
            return f"{len(column)} rows instead of {len(cells[name])}"
        for value, cell in zip(column, cells[name], strict=True):
            if problem := _cell_problem(value, cell, datatype):
                return problem
    return None


def _cell_problem(value: Any, cell: Any, datatype: str) -> str | None:
    if datatype == "BOOL":
        cell = TRUTH.get(cell.strip().lower() if isinstance(cell, str) else cell, cell)
    elif isinstance(cell, bool) and datatype != "BYTES":
        # A table may hold truth values for a model that takes numbers.
        cell = int(cell)
    if isinstance(cell, float) and math.isinf(cell):
        return None
    try:
        wanted = element(cell, datatype)
    except Refused:
        return f"{_kind(cell)} is read as {datatype}"
    if datatype.startswith("FP") and math.isnan(wanted):
        return None if math.isnan(value) else f"a missing value is read as {datatype}"
    return None if value == wanted else f"another value of {_kind(cell)} as {datatype}"


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "a text"
    if isinstance(cell, bool):
        return "a truth value"
    if isinstance(cell, int | float | Decimal):
        return "a large number" if abs(float(cell)) >= 2**53 else "a number"
    return f"a cell of {type(cell).__name__}"


def _csv_cells(content: bytes, datatype: str) -> dict[str, list[Any]]:
    """Texts for tensors of text; for others numbers where the text is one, and `None` where it says that it is none."""
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    names, *rows = [cells for cells in lines if cells]
    read = str if datatype == "BYTES" else _number
    return {name: [read(row[at]) for row in rows] for at, name in enumerate(names)}


def _number(text: str) -> Any:
    plain = text.strip()
    if plain.lower() in MISSING:
        return None
    if plain.lower().lstrip("+-") in {"inf", "infinity"}:
        return math.inf
    return decimal(plain) if NUMBER.fullmatch(plain) and plain.isascii() else text


def _parquet_cells(path: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, use_threads=False)
    return {name: table.column(at).to_pylist() for at, name in enumerate(table.column_names)}


def _csv(random: Random) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=random.choice(("\n", "\r\n")))
    writer.writerow(("a", "b"))
    plain = random.random() < 0.5
    for _ in range(random.choice((0, 1, 20))):
        writer.writerow(random.choices(("1", "2", "-3", "0") if plain else CELLS, k=2))
    return (random.choice(("", "\ufeff")) + file.getvalue()).encode()


def _parquet(random: Random) -> bytes:
    import pyarrow
    import pyarrow.parquet

    count = random.choice((0, 1, 20))
    table = pyarrow.table({name: _column(random, count) for name in ("a", "b")})
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression=random.choice(("NONE", "SNAPPY")))
    return bytes(sink.getvalue())


def _column(random: Random, count: int) -> Any:
    import pyarrow

    kinds: Sequence[tuple[Any, Iterable[Any]]] = (
        (pyarrow.int64(), (0, 1, -1, 2**53 + 1, 2**63 - 1, None)),
        (pyarrow.uint64(), (0, 2**64 - 1)),
        (pyarrow.int8(), (0, 127, -128)),
        (pyarrow.float64(), (0.5, 1.0, 1e39, math.nan, math.inf, None)),
        (pyarrow.float32(), (0.5, 16777216.0)),
        (pyarrow.bool_(), (True, False)),
        (pyarrow.string(), ("a", "1", "", None)),
        (pyarrow.binary(), (b"a", b"\xff")),
        (pyarrow.date32(), (date(2024, 1, 1),)),
        (pyarrow.decimal128(20, 2), (Decimal("1.00"), Decimal("1.50"))),
        (pyarrow.list_(pyarrow.int64()), ([1], [])),
        (pyarrow.null(), (None,)),
    )
    kind, values = random.choice(kinds)
    array = pyarrow.array(random.choices(list(values), k=count), kind)
    return array.dictionary_encode() if random.random() < 0.1 and kind == pyarrow.string() else array
