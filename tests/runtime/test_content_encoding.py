from __future__ import annotations

import gzip
import zlib

import pytest

from plimsoll.runtime.content_encoding import PIECE, UnfinishedEncoding, decoded, encoding_of, is_known

CONTENT = bytes(range(256)) * 1000


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", gzip.compress(CONTENT)),
        ("x-gzip", gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:])),
        ("gzip", gzip.compress(CONTENT) + bytes(512)),
        ("deflate", zlib.compress(CONTENT)),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_data_is_decoded_wherever_it_is_cut_into_pieces(encoding: str, encoded: bytes, size: int) -> None:
    pieces = [encoded[start : start + size] for start in range(0, len(encoded), size)]
    assert b"".join(decoded(encoding, pieces)) == CONTENT


@pytest.mark.parametrize("kept", [0, 1, 15, -8, -1])
def test_data_that_ends_early_is_never_whole(kept: int) -> None:
    with pytest.raises(UnfinishedEncoding):
        list(decoded("gzip", [gzip.compress(CONTENT)[:kept]]))


def test_data_that_is_not_encoded_as_said_is_refused() -> None:
    with pytest.raises(UnfinishedEncoding, match="not valid gzip"):
        list(decoded("gzip", [b"a,b\n1,2\n"]))


def test_a_small_piece_expands_a_bounded_piece_at_a_time() -> None:
    pieces = list(decoded("gzip", [gzip.compress(bytes(5 * PIECE + 3))]))
    assert max(map(len, pieces)) <= PIECE
    assert sum(map(len, pieces)) == 5 * PIECE + 3


@pytest.mark.parametrize(
    ("header", "path", "expected"),
    [
        ("", "/x.csv", ""),
        ("identity", "/x.csv", ""),
        ("GZIP", "/x.csv", "gzip"),
        ("aws-chunked, gzip", "/x.csv", "gzip"),
        ("gzip", "/x.csv.gz", ""),
        ("br", "/x.csv", "br"),
        ("gzip, gzip", "/x.csv", "gzip, gzip"),
    ],
)
def test_the_encoding_to_undo_is_that_of_the_header_but_not_of_an_archive(
    header: str, path: str, expected: str
) -> None:
    assert encoding_of(header, path) == expected
    assert is_known(encoding_of(header, path)) is (expected in {"gzip", "deflate"})
