"""A file as its difference from another one: what is copied from the base, and what is new. Pure but for the files.

A delta is one zlib stream of records. `C`, an offset and a length copy bytes of the base; `D`, a length and that many
bytes are new. Numbers have 64 bits, the highest byte first. The device needs the memory of one block.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import open_regular

COPY, DATA = b"C", b"D"
BLOCK = 1 << 16
COPY_RECORD, DATA_RECORD = struct.Struct(">QQ"), struct.Struct(">Q")


def apply_delta(delta: Path, base: Path, target: Path, *, size: int, digest: str) -> None:
    """Write the file that a delta makes of a base: `target` appears whole and with its digest, or not at all.

    `size` is in bytes. Raises ModelRefused when something else comes out, TargetError when the disk is full.
    """
    what = f"the delta {delta.name}"
    partial = target.with_name(f".{target.name}.delta")
    try:
        with open_regular(delta) as packed, open_regular(base) as old, partial.open("wb") as new:
            found, written = hashlib.sha256(), 0
            for piece in _pieces(_Unpacked(packed, what), old, what):
                written += len(piece)
                if written > size:
                    raise ModelRefused(f"{what} makes more than {size} bytes", where=str(target))
                found.update(piece)
                new.write(piece)
            if written != size or f"sha256:{found.hexdigest()}" != digest:
                raise ModelRefused(f"{what} makes another file than the one that is signed", where=str(target))
            new.flush()
            os.fsync(new.fileno())
        partial.replace(target)
    except OSError as error:
        raise TargetError(f"cannot write the file of {what}: {error.strerror}", where=str(target)) from error
    finally:
        partial.unlink(missing_ok=True)


class _Unpacked:
    """The bytes of a zlib stream, a block at a time."""

    def __init__(self, file: BufferedReader, what: str) -> None:
        self._file = file
        self._what = what
        self._inflater = zlib.decompressobj()
        self._held = b""

    def some(self, most: int) -> bytes:
        """At least one byte, at most `most`; none at the end. Raises ModelRefused."""
        while not self._held and not self._inflater.eof:
            raw = self._inflater.unconsumed_tail or self._file.read(BLOCK)
            if not raw:
                raise self.cut_off()
            try:
                self._held = self._inflater.decompress(raw, BLOCK)
            except zlib.error as error:
                raise ModelRefused(f"{self._what} cannot be read: {error}") from error
        piece, self._held = self._held[:most], self._held[most:]
        return piece

    def exactly(self, count: int) -> bytes:
        """So many bytes, which are few. Raises ModelRefused."""
        found = b""
        while len(found) < count:
            piece = self.some(count - len(found))
            if not piece:
                raise self.cut_off()
            found += piece
        return found

    def cut_off(self) -> ModelRefused:
        """What is said of a stream that ends too early."""
        return ModelRefused(f"{self._what} is cut off")


def _pieces(records: _Unpacked, base: BufferedReader, what: str) -> Iterator[bytes]:
    while kind := records.some(1):
        if kind == COPY:
            offset, left = COPY_RECORD.unpack(records.exactly(COPY_RECORD.size))
            if offset >= 1 << 63:
                raise ModelRefused(f"{what} copies from behind the end of its base")
            base.seek(offset)
            while left:
                if not (piece := base.read(min(BLOCK, left))):
                    raise ModelRefused(f"{what} copies from behind the end of its base")
                left -= len(piece)
                yield piece
        elif kind == DATA:
            (left,) = DATA_RECORD.unpack(records.exactly(DATA_RECORD.size))
            while left:
                if not (piece := records.some(min(BLOCK, left))):
                    raise records.cut_off()
                left -= len(piece)
                yield piece
        else:
            raise ModelRefused(f"{what} has a record of the unknown kind {kind!r}")
