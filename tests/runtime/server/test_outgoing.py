from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plimsoll.runtime.server.outgoing import PIECE, Outgoing


@given(st.lists(st.sampled_from([0, 1, 1000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])))
def test_a_response_is_written_whole_and_in_small_pieces(sizes: list[int]) -> None:
    parts = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    outgoing = Outgoing(parts)
    written = b""
    while outgoing.left:
        piece = b"".join(outgoing.take())
        assert 0 < len(piece) <= PIECE
        written += piece
        assert outgoing.left == sum(sizes) - len(written)

    assert written == b"".join(parts)
    assert outgoing.take() == []
