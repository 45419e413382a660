"""A database of advisories that the user brings: files of OSV JSON in a directory, in a zip archive, or one file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError
from plimsoll.files import open_regular
from plimsoll.supply.packages import normalized
from plimsoll.supply.severity import Severity, severity

MOST_ADVISORIES = 1_000_000
MOST_ADVISORY = 16 << 20
MOST_BYTES = 8 << 30
ECOSYSTEM = "PyPI"
_HINT = "bring OSV's advisories of PyPI: a directory of JSON files, or the archive all.zip of the ecosystem"


class _Package(Struct, frozen=True):
    name: str = ""
    ecosystem: str = ""


class _Range(Struct, frozen=True):
    type: str = ""
    events: tuple[dict[str, str], ...] = ()


class _Affected(Struct, frozen=True):
    package: _Package = _Package()
    ranges: tuple[_Range, ...] = ()
    versions: tuple[str, ...] = ()
    severity: tuple[dict[str, str], ...] = ()
    ecosystem_specific: dict[str, Any] = {}  # Any: of each database's own


@decodable
class _Advisory(Struct, frozen=True):
    id: str
    aliases: tuple[str, ...] = ()
    withdrawn: str | None = None
    summary: str = ""
    affected: tuple[_Affected, ...] = ()
    severity: tuple[dict[str, str], ...] = ()
    database_specific: dict[str, Any] = {}  # Any: of each database's own


class Advisory(Struct, frozen=True, kw_only=True):
    """What one advisory says about one package."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: Severity
    versions: tuple[str, ...]
    ranges: tuple[tuple[str, tuple[Mapping[str, str], ...]], ...]


class Database(Struct, frozen=True, kw_only=True):
    """Advisories by the normalized name of the package. `unreadable` are files that could not be read.

    `withdrawn` counts those that were taken back, `others` those of other ecosystems.
    """

    where: str
    by_package: Mapping[str, tuple[Advisory, ...]]
    count: int
    withdrawn: int = 0
    others: int = 0
    unreadable: tuple[str, ...] = ()


def read_database(path: Path) -> Database:
    """Read a database. Raises FileError for one that cannot be read, is too large, or has no advisory at all."""
    found: dict[str, list[Advisory]] = {}
    count = withdrawn = others = 0
    unreadable: list[str] = []
    try:
        for name, content in _contents(path):
            try:
                advisories = _decoded(content)
            except UNREADABLE as error:
                unreadable.append(f"{name}: {str(error)[:200]}")
                continue
            for advisory in advisories:
                count += 1
                withdrawn += advisory.withdrawn is not None
                if advisory.withdrawn is None and not _add(advisory, found):
                    others += 1
            if count > MOST_ADVISORIES:
                raise FileError(f"the database has more than {MOST_ADVISORIES} advisories", where=str(path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileError(
            f"the database is an archive that cannot be read: {error}", where=str(path), hint=_HINT
        ) from error
    except OSError as error:
        text = f"the database cannot be read: {error.strerror or error}"
        raise FileError(text, where=str(path), hint=_HINT) from error
    if not count:
        more = f"; {unreadable[0]}" if unreadable else ""
        raise FileError(f"the database has no advisory{more}", where=str(path), hint=_HINT)
    return Database(
        where=str(path),
        by_package={name: tuple(each) for name, each in found.items()},
        count=count,
        withdrawn=withdrawn,
        others=others,
        unreadable=tuple(unreadable),
    )


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        yield from _of_directory(path)
        return
    with open_regular(path) as file:
        if zipfile.is_zipfile(file):
            file.seek(0)
            yield from _of_archive(path, zipfile.ZipFile(file))
            return
        file.seek(0)
        # One file may have a list of all of them.
        content = file.read(MOST_ADVISORY * 16 + 1)
    if len(content) > MOST_ADVISORY * 16:
        raise FileError(f"the file has more than {MOST_ADVISORY * 16} bytes", where=str(path), hint=_HINT)
    yield path.name, content


def _of_directory(path: Path) -> Iterator[tuple[str, bytes]]:
    left = MOST_BYTES

    def refuse(error: OSError) -> None:
        raise error

    for directory, _, names in os.walk(path, onerror=refuse):
        for name in sorted(names):
            if not name.endswith(".json"):
                continue
            with open_regular(Path(directory) / name) as file:
                content = file.read(MOST_ADVISORY + 1)
            left -= len(content)
            _require_within(content, left, f"{path}/{name}")
            yield str((Path(directory) / name).relative_to(path)), content


def _of_archive(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    left = MOST_BYTES
    entries = archive.infolist()
    if len(entries) > MOST_ADVISORIES:
        raise FileError(f"the database has more than {MOST_ADVISORIES} files", where=str(path))
    for entry in entries:
        if entry.is_dir() or not entry.filename.endswith(".json"):
            continue
        with archive.open(entry) as file:
            content = file.read(MOST_ADVISORY + 1)
        left -= len(content)
        _require_within(content, left, f"{path}: {entry.filename[:200]}")
        yield entry.filename, content


def _require_within(content: bytes, left: int, where: str) -> None:
    if len(content) > MOST_ADVISORY:
        raise FileError(f"an advisory has more than {MOST_ADVISORY} bytes", where=where, hint=_HINT)
    if left < 0:
        raise FileError(f"the database has more than {MOST_BYTES} bytes", where=where, hint=_HINT)


def _decoded(content: bytes) -> list[_Advisory]:
    if content.lstrip()[:1] == b"[":
        return msgspec.json.decode(content, type=list[_Advisory])
    return [msgspec.json.decode(content, type=_Advisory)]


def _add(advisory: _Advisory, found: dict[str, list[Advisory]]) -> bool:
    """Add what an advisory says about packages of Python; False when it is about others alone."""
    about = [each for each in advisory.affected if each.package.ecosystem.partition(":")[0] == ECOSYSTEM]
    for each in about:
        vectors = [(one.get("type", ""), one.get("score", "")) for one in (*each.severity, *advisory.severity)]
        words = [advisory.database_specific.get("severity"), each.ecosystem_specific.get("severity")]
        found.setdefault(normalized(each.package.name), []).append(
            Advisory(
                id=advisory.id,
                aliases=advisory.aliases,
                summary=advisory.summary[:300],
                severity=severity(vectors, [word for word in words if isinstance(word, str)]),
                versions=each.versions,
                ranges=tuple((one.type, one.events) for one in each.ranges),
            )
        )
    return bool(about)
