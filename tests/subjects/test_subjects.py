"""A person's id in cells and texts of any format: exactly the person, and nobody whose id looks like theirs."""

from __future__ import annotations

import bz2
import gzip
import json
import math
import os
import pickle
import sqlite3
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.subjects.contents import look_into
from plimsoll.subjects.identity import HashedSubject, Subject, keyed_digest
from plimsoll.subjects.rewriting import remove_rows
from plimsoll.subjects.texts import masked

COLUMNS = frozenset({"card"})


@pytest.mark.parametrize(
    ("asked", "same", "others"),
    [
        ("1", ["1", " 1 ", 1, 1.0, "1.0"], ["11", "01", "1.5", "-1", "", None, True, 10]),
        ("007", ["007"], ["7", 7, "0070"]),
        ("7", ["7", 7], ["007", 77]),
        ("nan", ["nan"], [math.nan, None, "NaN"]),
        ("José", [unicodedata.normalize("NFD", "José")], ["Jose", "JOSÉ"]),
        ('O"Neil, A', ['O"Neil, A'], ["O'Neil, A"]),
        ("a\0b", ["a\0b"], ["ab", "a"]),
        ("x" * 9000, ["x" * 9000], ["x" * 8999]),
    ],
)
def test_a_cell_is_the_person_or_it_is_not(asked: str, same: list[object], others: list[object]) -> None:
    key = os.urandom(32)
    for matcher in (Subject(asked), HashedSubject(keyed_digest(asked, key), key)):
        assert all(matcher.matches(each) for each in same)
        assert not any(matcher.matches(each) for each in others)


def test_a_text_has_the_person_as_a_whole_word_only() -> None:
    kept = b"card-77 x-card-7 card-7x card-7-b 0.card"
    content, count = masked(
        b"user card-7, {'id':'card-7'} file=/data/card-7.csv\\ncard-7 ends. " + kept, Subject("card-7")
    )
    assert count == 4
    assert b"card-7," not in content
    assert content.endswith(kept)
    assert masked(b"amount\ncard-7\n", Subject("card-7"))[1] == 1
    line = b'{"card":12345678,"n":2}\n{"at":0.12345678}\n'
    struck, count = masked(line, Subject("12345678"))
    assert count == 1
    assert [json.loads(each) for each in struck.splitlines()] == [{"card": "******", "n": 2}, {"at": 0.12345678}]
    assert len(struck) == len(line)


CSV = 'card,text\r\n1,a\r\n11,"b\r\n1,c"\r\n"1",d\r\n 1 ,e\r\n1.0,f\r\n01,g\r\n'


def test_rows_of_csv_go_and_all_others_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    path.chmod(0o640)
    assert look_into(path, Subject("1"), COLUMNS).rows == 4
    assert remove_rows(path, Subject("1"), COLUMNS) == 4
    assert path.read_bytes() == b'\xef\xbb\xbfcard,text\r\n11,"b\r\n1,c"\r\n01,g\r\n'
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["people.csv"]


def test_a_stray_quote_joins_no_row_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "pipes.csv"
    path.write_text('text,card\n5" pipe,u-1\n6" pipe,u-2\n"open,u-3\n')
    assert remove_rows(path, Subject("u-1"), COLUMNS) == 1
    assert path.read_text() == 'text,card\n6" pipe,u-2\n"open,u-3\n'


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_and_quoted_ids_are_read(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f'n{separator}card\n1{separator}"say ""hi"""\n2{separator}say hi\n')
    assert remove_rows(path, Subject('say "hi"'), COLUMNS) == 1
    assert path.read_text() == f"n{separator}card\n2{separator}say hi\n"


def test_rows_go_from_json_lines_json_and_compressed_files(tmp_path: Path) -> None:
    lines = b'{"card": "u-1", "deep": 1}\n{"row": {"card": "u-2"}}\n'
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.json").write_text('[{"card": "u-1"}, {"card": "u-2"}]')
    for path in sorted(tmp_path.iterdir()):
        assert look_into(path, Subject("u-1"), COLUMNS).rows == 1
        assert remove_rows(path, Subject("u-1"), COLUMNS) == 1
        assert not look_into(path, Subject("u-1"), COLUMNS).found
        assert look_into(path, Subject("u-2"), COLUMNS).rows == 1


@pytest.mark.parametrize("written", ['"c\\u0061rd/7"', '"card\\/7"', '"card\\u002F7"', '"card\\u002f7"'])
def test_a_person_is_found_however_json_writes_the_id(tmp_path: Path, written: str) -> None:
    other, row = '{"card": "x"}\n', f'{{"card": {written}}}\n'
    path = tmp_path / "a.jsonl"
    path.write_text(other + row + other)
    assert look_into(path, Subject("card/7"), COLUMNS).rows == 1
    assert remove_rows(path, Subject("card/7"), COLUMNS) == 1
    assert path.read_text() == other * 2


def test_rows_of_parquet_go_by_type_and_the_schema_stays(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    numbers, texts = tmp_path / "numbers.parquet", tmp_path / "texts.parquet"
    table = pyarrow.table({"card": pyarrow.array([7, 77, None, 7], pyarrow.int32()), "x": [1.0, 2.0, 3.0, 4.0]})
    parquet.write_table(table, numbers)
    parquet.write_table(pyarrow.table({"card": ["007", "7", None]}), texts)
    assert remove_rows(numbers, Subject("007"), COLUMNS) == 0
    assert remove_rows(numbers, Subject("7"), COLUMNS) == 2
    assert remove_rows(texts, Subject("007"), COLUMNS) == 1
    after = parquet.read_table(numbers)
    assert (after.schema, after.column("x").to_pylist()) == (table.schema, [2.0, 3.0])
    assert parquet.read_table(texts).column("card").to_pylist() == ["7", None]


def test_a_person_is_found_in_archives_arrays_and_databases(tmp_path: Path) -> None:
    name = "holder-4711"
    np.savez_compressed(tmp_path / "a.npz", ids=np.array([name, "other"]), x=np.arange(3))
    (tmp_path / "b.txt.bz2").write_bytes(bz2.compress(f"seen {name}".encode()))
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/side.csv", f"card\n{name}\n")
    with sqlite3.connect(tmp_path / "d.sqlite") as database:
        database.execute('CREATE TABLE "my rows" (card, n)')
        database.execute('INSERT INTO "my rows" VALUES (?, 1)', (name,))
    database.close()
    (tmp_path / "e.bin").write_bytes(b"\0\1" + name.encode("utf-16-le") + b"\0\0")
    for protocol in (2, 4):
        (tmp_path / f"f{protocol}.pkl").write_bytes(pickle.dumps([name, "x"], protocol))
        long = (tmp_path / f"g{protocol}.pkl", "h" * 59 + name)
        long[0].write_bytes(pickle.dumps([long[1], long[1] + "1"], protocol))
        assert look_into(long[0], Subject(long[1]), COLUMNS).found
        long[0].unlink()
    for path in sorted(tmp_path.iterdir()):
        assert look_into(path, Subject(name), COLUMNS).found, path
        assert not look_into(path, Subject("holder-471"), COLUMNS).found, path
        assert not look_into(path, Subject("holder-47"), COLUMNS).found, path


def test_what_cannot_be_searched_or_rewritten_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 20)
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"card-1234" * 100)[:-12])
    (tmp_path / "c.csv").write_text("id\ncard-1234\n")
    assert "zstd" in look_into(tmp_path / "a.zst", Subject("card-1234"), COLUMNS).problem
    assert "cannot be read" in look_into(tmp_path / "b.gz", Subject("card-1234"), COLUMNS).problem
    with pytest.raises(PlimsollError, match="no table with a column card"):
        remove_rows(tmp_path / "c.csv", Subject("card-1234"), COLUMNS)
    assert (tmp_path / "c.csv").read_text() == "id\ncard-1234\n"
    assert len(list(tmp_path.iterdir())) == 3
