"""Sealed files: what is altered in any way does not open, and the error says how."""

from __future__ import annotations

import io
import os

import pytest

from plimsoll.vault.problems import SealedDamaged
from plimsoll.vault.stream import CHUNK, HEADER, open_stream, seal_stream

KEY = bytes(range(32))
PART = CHUNK + 16


def sealed(plain: bytes, name: bytes = b"a", key: bytes = KEY) -> bytes:
    into = io.BytesIO()
    assert seal_stream(io.BytesIO(plain), into, key, name) == len(plain)
    return into.getvalue()


def opened(content: bytes, name: bytes = b"a", key: bytes = KEY) -> bytes:
    return b"".join(open_stream(io.BytesIO(content), key, name, "objects/a"))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_sealed_opens(size: int) -> None:
    plain = os.urandom(size)
    content = sealed(plain)
    assert opened(content) == plain
    assert size < 16 or plain[:64] not in content


def test_the_same_content_is_sealed_to_other_bytes_each_time() -> None:
    first, second = sealed(b"orders"), sealed(b"orders")
    assert first != second
    assert len(first) == len(second)


@pytest.mark.parametrize("at", [HEADER - 1, HEADER, HEADER + PART, -1])
def test_a_flipped_bit_is_found_wherever_it_is(at: int) -> None:
    content = bytearray(sealed(b"x" * (2 * CHUNK)))
    content[at] ^= 1
    with pytest.raises(SealedDamaged, match=r"part [12] of the sealed file was changed"):
        opened(bytes(content))


def test_a_file_that_ends_at_the_end_of_a_part_is_called_cut() -> None:
    content = sealed(b"x" * (3 * CHUNK))
    with pytest.raises(SealedDamaged, match=r"cut off: it ends after part 2"):
        opened(content[: HEADER + 2 * PART])


@pytest.mark.parametrize("left", [0, 5, HEADER, HEADER + 10, HEADER + PART + 7])
def test_a_file_that_ends_anywhere_else_does_not_open(left: int) -> None:
    content = sealed(b"x" * (2 * CHUNK))
    with pytest.raises(SealedDamaged):
        opened(content[:left])


def test_parts_that_have_changed_places_do_not_open() -> None:
    content = sealed(os.urandom(3 * CHUNK))
    first, second = content[HEADER : HEADER + PART], content[HEADER + PART : HEADER + 2 * PART]
    with pytest.raises(SealedDamaged, match="part 1"):
        opened(content[:HEADER] + second + first + content[HEADER + 2 * PART :])


def test_a_part_of_another_file_does_not_open() -> None:
    one, other = sealed(b"a" * (2 * CHUNK)), sealed(b"b" * (2 * CHUNK))
    with pytest.raises(SealedDamaged, match="part 2"):
        opened(one[: HEADER + PART] + other[HEADER + PART :])


def test_bytes_after_the_end_do_not_open() -> None:
    with pytest.raises(SealedDamaged):
        opened(sealed(b"orders") + b"more")
    with pytest.raises(SealedDamaged, match="goes on after its last part, which is part 1"):
        opened(sealed(b"x" * CHUNK) + b"more")


def test_a_file_in_the_place_of_another_does_not_open() -> None:
    with pytest.raises(SealedDamaged, match="swapped"):
        opened(sealed(b"orders", name=b"a"), name=b"b")


def test_another_key_does_not_open() -> None:
    with pytest.raises(SealedDamaged):
        opened(sealed(b"orders"), key=bytes(32))


def test_what_is_no_sealed_file_is_told() -> None:
    with pytest.raises(SealedDamaged, match="no sealed file"):
        opened(b"card,amount\n" * 10)
    with pytest.raises(SealedDamaged, match="empty"):
        opened(b"")
