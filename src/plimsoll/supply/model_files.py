"""Whether a model's files run anything when they are loaded, by reading them within bounds; nothing is loaded.

Each file is clean (a known format that only holds data), unsafe (it would run something, or hides it), or unknown.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.files import open_regular
from plimsoll.supply.executables import executable_kind
from plimsoll.supply.findings import Finding, Verdict
from plimsoll.supply.formats import NOT_MINE, judge_data_format
from plimsoll.supply.pickles import Bytes, Judged, NotAPickle, judge_pickle

MOST_FILES = 100_000
MOST_ENTRIES = 20_000
MOST_UNPACKED = 8 << 30
"""Bytes that all archives of one file may unpack to together."""
GROWTH = 100
ALWAYS_ALLOWED = 64 << 20
DEEPEST = 4
MOST_SNIFFED = 4 << 20
"""Bytes of a file without a known name or beginning that are tried as a pickle."""

_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".p", ".cpkl", ".pck", ".mdl"})
_TORCH = frozenset({".pt", ".pth", ".bin", ".ckpt"})
_PRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"x\x01": "zlib",
    b"x\x9c": "zlib",
    b"x\xda": "zlib",
}
_TEXTS = frozenset({".txt", ".md", ".json", ".jsonl", ".yaml", ".yml", ".csv", ".tsv", ".toml", ".vocab", ".ini"})


class _Left(Struct):
    """The bytes that may still be unpacked."""

    unpacked: int = MOST_UNPACKED


def judge_directory(directory: Path, allow: Collection[str] = ()) -> tuple[Finding, ...]:
    """The findings of all files below a directory, by path. Links are not followed. Raises TargetError."""
    found: list[Finding] = []
    try:
        for path in sorted(_files(directory)):
            name = path.relative_to(directory).as_posix()
            if len(found) >= MOST_FILES:
                raise TargetError(f"it has more than {MOST_FILES} files", where=str(directory))
            found.append(judge_file(path, name, allow))
    except OSError as error:
        raise TargetError(f"it cannot be read: {error.strerror}", where=str(error.filename or directory)) from error
    return tuple(found)


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path


def judge_file(path: Path, name: str, allow: Collection[str] = ()) -> Finding:
    """The finding of one file, which `name` names to people. `allow` are further globals of pickles."""
    try:
        with open_regular(path) as file:
            size = path.stat().st_size
            return _Judge(allow, path.resolve().parent).judge(file, size, name, 0)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or error}"
        return Finding(what=name, verdict="unknown", reasons=(reason,))


class _Judge:
    """One file with all that is packed in it."""

    def __init__(self, allow: Collection[str], directory: Path) -> None:
        self._allow, self._directory = allow, directory
        self._left = _Left()

    def judge(self, file: Bytes, size: int, name: str, depth: int, *, raw: bool = False) -> Finding:
        """The finding of a file; `raw` says that whoever loads it takes it as bytes of numbers."""
        begin = file.read(512)
        file.seek(0)
        suffix = PurePosixPath(name).suffix.lower()
        if kind := executable_kind(begin, name):
            return _finding(name, "unsafe", f"it is {kind}, which no model needs")
        if raw:
            return _finding(name, "clean")
        if begin.startswith(b"PK\x03\x04") or zipfile.is_zipfile(_whole(file)):
            file.seek(0)
            return self._archive(file, name, depth)
        file.seek(0)
        for magic, packing in _PRESSED.items():
            if begin.startswith(magic) and (packing != "zlib" or suffix in _PICKLES):
                return self._unpacked(file, size, name, depth, packing)
        if begin.startswith(b"\x93NUMPY"):
            return self._numpy(file, size, name)
        told = judge_data_format(file, size, begin, name, self._directory if not depth else None)
        file.seek(0)
        if told is not NOT_MINE:
            return told
        return self._pickle_or_unknown(file, size, name, suffix, begin)

    def _pickle_or_unknown(self, file: Bytes, size: int, name: str, suffix: str, begin: bytes) -> Finding:
        named = suffix in _PICKLES or suffix in _TORCH or _begins_pickle(begin)
        if named or (size <= MOST_SNIFFED and suffix not in _TEXTS):
            try:
                judged = judge_pickle(file, size, self._allow)
            except NotAPickle as error:
                if _begins_pickle(begin) or suffix in _PICKLES:
                    return _finding(name, "unsafe", f"it is a pickle that cannot be read to its end ({error})")
            else:
                if named or judged.globals or judged.reasons:
                    return _of_pickle(name, judged)
        if suffix in _TEXTS and _is_text(file, size):
            return _finding(name, "clean")
        return _finding(name, "unknown", "its format is not known")

    def _numpy(self, file: Bytes, size: int, name: str) -> Finding:
        from plimsoll.supply.formats import numpy_holds_objects

        holds = numpy_holds_objects(file, size)
        if holds is None:
            return _finding(name, "unknown", "its header cannot be read")
        if not holds:
            return _finding(name, "clean")
        try:
            return _of_pickle(name, judge_pickle(file, size, self._allow))
        except NotAPickle as error:
            return _finding(name, "unsafe", f"its objects are a pickle that cannot be read ({error})")

    def _unpacked(self, file: Bytes, size: int, name: str, depth: int, packing: str) -> Finding:
        if depth >= DEEPEST:
            return _finding(name, "unsafe", f"it is packed more than {DEEPEST} times")
        most = min(self._left.unpacked, ALWAYS_ALLOWED + GROWTH * size)
        try:
            content = _unpack(file, packing, most)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            return _finding(name, "unknown", f"it cannot be unpacked: {error}")
        if len(content) > most:
            return _finding(name, "unsafe", "it unpacks to far more bytes than it has")
        self._left.unpacked -= len(content)
        return self.judge(io.BytesIO(content), len(content), name, depth + 1)

    def _archive(self, file: Bytes, name: str, depth: int) -> Finding:
        if depth >= DEEPEST:
            return _finding(name, "unsafe", f"it is packed more than {DEEPEST} times")
        try:
            with zipfile.ZipFile(_whole(file)) as archive:
                return self._entries(archive, name, depth)
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            zlib.error,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as why:
            return _finding(name, "unsafe", f"it is an archive that cannot be read whole: {why}")

    def _entries(self, archive: zipfile.ZipFile, name: str, depth: int) -> Finding:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES:
            return _finding(name, "unsafe", f"it has more than {MOST_ENTRIES} entries")
        names = [entry.filename for entry in entries]
        if len(set(names)) != len(names):
            return _finding(name, "unsafe", "it has two entries of one name: programs differ in which they read")
        is_torch = any(each == "data.pkl" or each.endswith("/data.pkl") for each in names)
        reasons: list[str] = []
        notes: list[str] = []
        verdicts: set[Verdict] = set()
        for entry in entries:
            if entry.is_dir():
                continue
            found = self._entry(archive, entry, depth, is_torch=is_torch)
            verdicts.add(found.verdict)
            reasons += [f"{entry.filename[:200]}: {reason}" for reason in found.reasons]
            notes += [f"{entry.filename[:200]}: {note}" for note in found.notes]
        verdict: Verdict = next((each for each in ("unsafe", "unknown") if each in verdicts), "clean")
        return Finding(what=name, verdict=verdict, reasons=tuple(reasons[:20]), notes=tuple(notes[:20]))

    def _entry(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, depth: int, *, is_torch: bool) -> Finding:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
            return _finding(entry.filename, "unsafe", "its name leads out of the archive")
        # Torch takes these as numbers, whatever they look like.
        numbers = is_torch and path.parent.name in ("data", "tensors") and path.name.isdigit()
        numbers = numbers or (is_torch and ".data" in path.parts and path.name == "serialization_id")
        if numbers:
            with archive.open(entry) as packed:
                begin = packed.read(512)
            return self.judge(io.BytesIO(begin), len(begin), entry.filename, depth + 1, raw=True)
        most = min(self._left.unpacked, ALWAYS_ALLOWED + GROWTH * entry.compress_size)
        if entry.file_size > most:
            return _finding(entry.filename, "unsafe", "it unpacks to far more bytes than it has")
        with archive.open(entry) as packed:
            content = packed.read(most + 1)
        if len(content) > most:
            return _finding(entry.filename, "unsafe", "it unpacks to far more bytes than it has")
        self._left.unpacked -= len(content)
        if is_torch and path.parts[-1:] in (
            ("version",),
            ("byteorder",),
            (".format_version",),
            (".storage_alignment",),
        ):
            return _finding(entry.filename, "clean")
        if is_torch and "code" in path.parts[:2]:
            return _finding(entry.filename, "unknown", "it is code of TorchScript, which is not judged")
        return self.judge(io.BytesIO(content), len(content), entry.filename, depth + 1)


def _whole(file: Bytes) -> io.BytesIO:
    """The same file as `zipfile` types it: it needs what a `Bytes` has."""
    return file  # type: ignore[return-value]


def _finding(name: str, verdict: Verdict, *reasons: str) -> Finding:
    return Finding(what=name, verdict=verdict, reasons=reasons)


def _of_pickle(name: str, judged: Judged) -> Finding:
    notes = ("a pickle whose globals are all allowed",) if not judged.reasons else ()
    return Finding(what=name, verdict="unsafe" if judged.reasons else "clean", reasons=judged.reasons, notes=notes)


def _begins_pickle(begin: bytes) -> bool:
    return len(begin) > 1 and begin[0] == 0x80 and begin[1] <= 5


def _is_text(file: Bytes, size: int) -> bool:
    file.seek(0)
    content = file.read(min(size, MOST_SNIFFED))
    try:
        content.decode()
    except UnicodeDecodeError as error:
        # A character may be cut in two where reading ended.
        return error.start >= len(content) - 4 and size > MOST_SNIFFED and b"\0" not in content
    return b"\0" not in content


def _unpack(file: Bytes, packing: str, most: int) -> bytes:
    if packing == "zlib":
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(file.read(), most + 1)
        if len(content) <= most and not unpacker.eof:
            raise ValueError("it ends too early")
        return content
    openers = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    with openers[packing](_whole(file)) as unpacked:  # type: ignore[operator]
        found: bytes = unpacked.read(most + 1)
        return found
