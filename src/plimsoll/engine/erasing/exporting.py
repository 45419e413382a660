"""`plimsoll export`: all that an application keeps of a person, as JSON and as tables, for the person who asks."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.decoding import UNREADABLE
from plimsoll.encoding import json_for_people
from plimsoll.engine.erasing.audit_logs import is_about
from plimsoll.engine.erasing.finding import AUDIT, LOG, Finding, Found
from plimsoll.engine.erasing.search import Search
from plimsoll.errors import TargetError
from plimsoll.files import open_regular, replace_file
from plimsoll.kinds.dataset import DATASETS
from plimsoll.subjects.extracting import Record, records_in
from plimsoll.subjects.identity import Subject
from plimsoll.subjects.texts import places
from plimsoll.targets.port import Target

ALL = "person.json"
MOST_LINES = 10_000
"""Lines of one log that are given; how many there are is told."""


class Exported(Struct, frozen=True, kw_only=True):
    """What one place has of the person. `records` are rows of a table, or lines of a log as they stand there."""

    place: str
    name: str
    what: str
    records: tuple[Record, ...] = ()


class Access(Struct, frozen=True, kw_only=True):
    """All of it, with what the file says of each dataset and which models were trained on the person's rows."""

    subject: str
    application: str
    at: datetime
    datasets: dict[str, dict[str, str]]
    places: tuple[Exported, ...]
    models: tuple[str, ...]
    unsearched: tuple[str, ...]


def export(file: ApplicationFile, target: Target, subject: Subject, output: Path) -> Access:
    """Write `person.json`, and a CSV file for each table, into a new directory. Raises TargetError, PlimsollError."""
    search = Search(file, target, subject, sources=False)
    found = search.find()
    access = Access(
        subject=subject.text,
        application=file.application.name,
        at=datetime.now(UTC),
        datasets=_datasets(file),
        places=tuple(_exported(found, subject, search.columns)),
        models=tuple(each.version for each in found.models),
        unsearched=found.unsearched,
    )
    try:
        output.mkdir(parents=True, mode=0o700)
        for number, each in enumerate(access.places, start=1):
            if each.records:
                replace_file(output / f"{number:03d}-{each.place.replace(' ', '-')}.csv", _as_csv(each.records))
        replace_file(output / ALL, msgspec.json.format(json_for_people(access), indent=2) + b"\n")
    except FileExistsError as error:
        hint = "name another directory with --output"
        raise TargetError("there is something already", where=str(output), hint=hint) from error
    except OSError as error:
        text = f"what was found cannot be written: {error.strerror or error}"
        raise TargetError(
            text, where=str(error.filename or output), hint="name another directory with --output"
        ) from error
    return access


def _datasets(file: ApplicationFile) -> dict[str, dict[str, str]]:
    told = {}
    for name, part in DATASETS.of(file.application).items():
        words = {"subject": part.subject, "purpose": part.purpose, "retention": part.retention, "time": part.time}
        told[name] = {word: value for word, value in words.items() if value}
    return {name: words for name, words in told.items() if words}


def _exported(found: Found, subject: Subject, columns: Collection[str]) -> Iterator[Exported]:
    for finding in found.findings:
        paths = _files_of(finding)
        records: list[Record] = []
        for path in paths:
            if finding.place == AUDIT:
                records += _lines(path, lambda line: is_about(line, subject, columns))
            elif finding.place == LOG:
                records += _lines(path, lambda line: any(places(line, subject)))
            else:
                records += records_in(path, subject, columns)
        if records or finding.place not in {"result", "checkpoint", "attempt", "curve"}:
            yield Exported(place=finding.place, name=finding.name, what=finding.what, records=tuple(records))


def _files_of(finding: Finding) -> list[Path]:
    path = Path(finding.path) if finding.path else None
    if path is None or finding.how == "hidden":
        return []
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def _lines(path: Path, is_of: Callable[[bytes], bool]) -> list[Record]:
    records: list[Record] = []
    with open_regular(path) as file:
        for line in file:
            if len(records) < MOST_LINES and is_of(line):
                records.append(_record(line))
    return records


def _record(line: bytes) -> Record:
    try:
        value = msgspec.json.decode(line)
    except UNREADABLE:
        value = None
    return value if isinstance(value, dict) else {"line": line.decode(errors="replace").rstrip("\r\n")}


def _as_csv(records: Collection[Record]) -> bytes:
    names = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(names)
    table.writerows([_cell(record.get(name)) for name in names] for record in records)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json_for_people(value).decode() if isinstance(value, dict | list | bool) else str(value)
