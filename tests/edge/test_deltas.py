"""Deltas between files: what was made is what comes out, they are small, and a wrong one makes nothing."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.edge.delta_making import WINDOW, make_delta
from plimsoll.edge.deltas import COPY, COPY_RECORD, DATA, DATA_RECORD, apply_delta
from plimsoll.errors import ModelRefused

NOISE = random.Random(1).randbytes(1 << 20)


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def through(directory: Path, old: bytes, new: bytes) -> tuple[bytes, int]:
    """What comes out of the delta between two contents, and its size."""
    directory.mkdir(exist_ok=True)
    base, file, packed, made = (directory / each for each in ("base", "file", "packed", "made"))
    base.write_bytes(old)
    file.write_bytes(new)
    size = make_delta(base, file, packed)
    apply_delta(packed, base, made, size=len(new), digest=digest(new))
    return made.read_bytes(), size


EDITS = st.lists(
    st.tuples(
        st.integers(0, 40_000),
        st.integers(0, 6_000),
        st.one_of(st.binary(max_size=300), st.integers(0, 30_000).map(lambda at: NOISE[at : at + 5_000])),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([0, 1, WINDOW - 1, WINDOW, 3 * WINDOW + 7, 40_000]), st.booleans(), EDITS)
def test_any_file_comes_out_of_its_delta_from_any_other(
    tmp_path_factory: pytest.TempPathFactory, length: int, empty: bool, edits: list[tuple[int, int, bytes]]
) -> None:
    old = bytes(length) if empty else NOISE[:length]
    new = bytearray(old)
    for at, count, content in edits:
        new[at : at + count] = content
    made, _ = through(tmp_path_factory.getbasetemp() / "deltas", old, bytes(new))
    assert made == bytes(new)


@pytest.mark.parametrize(
    "change",
    [
        lambda old: old,
        lambda old: b"shifted" + old,
        lambda old: old[:500_000] + b"grown in the middle" + old[500_000:],
        lambda old: old[600_000:] + old[:600_000],
        lambda old: old[:-40_000] + random.Random(2).randbytes(40_000),
        lambda old: old * 3,
    ],
    ids=["the same", "shifted", "grown", "turned round", "other last layers", "repeated"],
)
def test_a_delta_is_about_as_large_as_what_is_new(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    new = change(NOISE)
    made, size = through(tmp_path, NOISE, new)
    assert made == new
    assert size < 50_000


def packed(*records: bytes) -> bytes:
    return zlib.compress(b"".join(records))


def data(content: bytes) -> bytes:
    return DATA + DATA_RECORD.pack(len(content)) + content


@pytest.mark.parametrize(
    ("delta", "word"),
    [
        (b"", "cut off"),
        (b"no delta at all", "cannot be read"),
        (packed(data(b"12345"))[:-6], "cut off|another file"),
        (packed(DATA, b"\0\0"), "cut off"),
        (packed(DATA + DATA_RECORD.pack(1 << 60), b"12345"), "cut off"),
        (packed(data(bytes(1 << 26))), "more than 5 bytes"),
        (packed(COPY + COPY_RECORD.pack(0, 1 << 60)), "more than 5 bytes|behind the end"),
        (packed(COPY + COPY_RECORD.pack(98, 4)), "behind the end"),
        (packed(COPY + COPY_RECORD.pack((1 << 64) - 1, 5)), "behind the end"),
        (packed(b"X"), "unknown kind"),
        (packed(data(b"1234")), "another file"),
        (packed(data(b"54321")), "another file"),
        (packed(), "another file"),
    ],
)
def test_a_wrong_delta_makes_nothing_and_says_why(tmp_path: Path, delta: bytes, word: str) -> None:
    (tmp_path / "base").write_bytes(bytes(100))
    (tmp_path / "delta").write_bytes(delta)
    with pytest.raises(ModelRefused, match=word):
        apply_delta(tmp_path / "delta", tmp_path / "base", tmp_path / "made", size=5, digest=digest(b"12345"))
    assert {each.name for each in tmp_path.iterdir()} == {"base", "delta"}
