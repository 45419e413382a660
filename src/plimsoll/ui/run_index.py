"""An index of the runs of one place: SQLite for what a row shows, one file of numbers for its figures.

It lies in the state directory, is bounded in memory however many runs there are, and is made anew when it cannot be
read. A server that finds it in use by another keeps its own in a temporary directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import shutil
import sqlite3
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct

from plimsoll.ui.figure_store import FigureStore
from plimsoll.ui.run_rows import RunRow

VERSION = 2
HEADLINE = 3
"""Figures that a row shows where no columns are asked for."""
_SCHEMAS_IN_MEMORY = 8
_WASTE = 8 << 20
"""Numbers of former states of runs that the file may keep; beyond them, when they are the most, it is made anew."""
_TABLES = """
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, digest TEXT UNIQUE, names BLOB);
CREATE TABLE IF NOT EXISTS run (
    run TEXT PRIMARY KEY, number INTEGER, application TEXT, state TEXT, reason TEXT, started REAL, ended REAL,
    steps INTEGER, done INTEGER, cached INTEGER, failed INTEGER, doing TEXT, parameters BLOB, headline BLOB,
    names INTEGER, place INTEGER, figures INTEGER, size INTEGER, sweep BLOB);
CREATE INDEX IF NOT EXISTS by_number ON run (number DESC, run DESC);
"""
_COLUMNS = (
    "run, number, application, state, reason, started, ended, steps, done, cached, failed, doing, "
    "parameters, headline, names, place, sweep"
)
_STATE = "CASE WHEN state = 'running' AND run <> :live THEN 'killed' ELSE state END"
_SORTS = {
    "number": "number {0}, run {0}",
    "started": "started {0}, run {0}",
    "seconds": "ended - started {0} NULLS LAST, run DESC",
    "state": _STATE + " {0}, number DESC, run DESC",
    "steps": "steps {0}, number DESC, run DESC",
}
_Columns = tuple[Any, ...]  # Any: columns of SQLite


class Query(Struct, frozen=True, kw_only=True):
    """A page of the table. `sort` is a column, `figure:NAME` or `parameter:NAME`; `live` is the run under way."""

    sort: str = "number"
    descending: bool = True
    offset: int = 0
    limit: int = 50
    text: str = ""
    state: str = ""
    columns: Sequence[str] = ()
    live: str = ""
    sweeps: bool = False
    """Only runs that are sweeps."""


class Page(Struct, frozen=True, kw_only=True):
    """Rows of the table, and how many there are in all."""

    rows: list[dict[str, object]]
    total: int


class RunIndex:
    """The index of one place. Every method may be called from any thread."""

    def __init__(self, directory: Path | None) -> None:
        """Open the index in a directory, or a temporary one. Raises OSError when neither can be written."""
        self._lock = threading.Lock()
        self._names: OrderedDict[int, dict[str, int]] = OrderedDict()
        self._newest_names: tuple[tuple[str, ...], int] = ((), 0)
        self._temporary: Path | None = None
        self._held: IO[bytes] | None = None
        try:
            if directory is None:
                raise FileNotFoundError
            self._open(directory)
        except (OSError, sqlite3.Error):
            # It is another server's, cannot be written or is damaged: the journals have all of it.
            self._release()
            self._temporary = Path(tempfile.mkdtemp(prefix="plimsoll-ui-"))
            self._open(self._temporary)

    def sizes(self) -> dict[str, int]:
        """How many bytes of each run's journal the index has."""
        with self._lock:
            return dict(self._database.execute("SELECT run, size FROM run"))

    def put(self, rows: Sequence[tuple[RunRow, int]]) -> None:
        """Add or replace runs, each with the size of what was read of its journal."""
        with self._lock, self._database:
            for row, size in rows:
                self._put(row, size)

    def remove(self, runs: Sequence[str]) -> None:
        """Forget runs whose directories are gone."""
        with self._lock, self._database:
            self._database.executemany("DELETE FROM run WHERE run = ?", [(run,) for run in runs])

    def page(self, query: Query) -> Page:
        """Filter, sort and cut on this side, so that a page costs the same however many runs there are."""
        with self._lock:
            where, values = _filter(query)
            values["live"] = query.live
            (total,) = self._database.execute(f"SELECT count(*) FROM run {where}", values).fetchone()  # noqa: S608 - constants
            kind, _, name = query.sort.partition(":")
            if kind in ("figure", "parameter") and name:
                chosen = self._sorted_by_value(kind, name, where, values, descending=query.descending)
                found = [self._row(rowid, query.live) for rowid in chosen[query.offset : query.offset + query.limit]]
            else:
                order = _SORTS.get(query.sort, _SORTS["number"]).format("DESC" if query.descending else "ASC")
                found = self._database.execute(
                    f"SELECT {_COLUMNS}, {_STATE} FROM run {where} ORDER BY {order} LIMIT :limit OFFSET :offset",  # noqa: S608 - constants
                    {**values, "limit": query.limit, "offset": query.offset},
                ).fetchall()
            return Page(rows=[self._shown(each, query.columns) for each in found], total=total)

    def row(self, run: str, live: str) -> dict[str, object] | None:
        """One run as the table shows it."""
        with self._lock:
            found = self._database.execute("SELECT rowid FROM run WHERE run = ?", (run,)).fetchone()
            return self._shown(self._row(found[0], live), ()) if found else None

    def find(self, word: str) -> str | None:
        """The id of the run of a number, or of the only one that begins with a word; `None` without one."""
        with self._lock:
            found: list[tuple[str]] = []
            if word.isascii() and word.isdigit() and len(word) < 8:
                found = self._database.execute("SELECT run FROM run WHERE number = ? LIMIT 2", (int(word),)).fetchall()
            if not found and word:
                end = word + chr(0x10FFFF)
                pair = (word, end)
                found = self._database.execute(
                    "SELECT run FROM run WHERE run >= ? AND run < ? LIMIT 2", pair
                ).fetchall()
        return found[0][0] if len(found) == 1 else None

    def columns(self, text: str, limit: int) -> tuple[list[str], int]:
        """Names of figures with a text in them, those of the newest runs first; and how many there are in all."""
        words, found = text.lower().split(), dict[str, None]()
        with self._lock:
            kinds = self._database.execute(
                "SELECT DISTINCT names FROM (SELECT names FROM run ORDER BY number DESC LIMIT 500)"
            )
            for (kind,) in kinds.fetchall()[:_SCHEMAS_IN_MEMORY]:
                names = self._places(kind) if kind is not None else {}
                found.update(dict.fromkeys(name for name in names if all(word in name.lower() for word in words)))
        return list(found)[:limit], len(found)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._database.close()
            self._figures.close()
            self._release()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)

    def _open(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._held = (directory / "lock").open("wb")
        fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._figures = FigureStore(directory / "figures")
        path = directory / "runs.sqlite"
        try:
            self._database = _database(path)
        except sqlite3.Error:
            for each in directory.glob("runs.sqlite*"):
                each.unlink()
            self._figures.clear()
            self._database = _database(path)
        used = self._database.execute("SELECT coalesce(sum(figures), 0) FROM run").fetchone()[0]
        if self._figures.length - used > max(_WASTE, used):
            with self._database:
                self._database.execute("DELETE FROM run")
            self._figures.clear()

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _put(self, row: RunRow, size: int) -> None:
        before = self._database.execute("SELECT names, place, figures FROM run WHERE run = ?", (row.run,)).fetchone()
        names = self._names_id(tuple(row.figures)) if row.figures else None
        values = list(row.figures.values())
        same = before is not None and before[0] == names and before[2] == len(values)
        if same and values and self._figures.many(before[1], len(values)) == values:
            place = before[1]
        else:
            place = self._figures.add(values)
        plain = (each for each in row.figures.items() if " baseline_" not in each[0])
        headline = list(itertools.islice(plain, HEADLINE))
        content = (
            row.run, row.number, row.application, row.state, row.reason, row.started, row.ended, row.steps,
            row.count("done"), row.count("cached"), row.count("failed"), row.doing(),
            _encoded(dict(row.parameters)), _encoded(headline), names, place, len(values), size,
            _encoded(row.sweep) if row.sweep is not None else None,
        )  # fmt: skip
        marks = ", ".join("?" * len(content))
        self._database.execute(f"INSERT OR REPLACE INTO run VALUES ({marks})", content)  # noqa: S608 - constants

    def _names_id(self, names: tuple[str, ...]) -> int:
        """The id of a list of names: runs of one application mostly have the same figures."""
        if names == self._newest_names[0]:
            return self._newest_names[1]
        content = _encoded(names)
        digest = hashlib.sha256(content).hexdigest()
        self._database.execute("INSERT OR IGNORE INTO names (digest, names) VALUES (?, ?)", (digest, content))
        found: int = self._database.execute("SELECT id FROM names WHERE digest = ?", (digest,)).fetchone()[0]
        self._newest_names = (names, found)
        return found

    def _places(self, kind: int) -> dict[str, int]:
        """The place of each figure within those of a run; of the lists that were used last."""
        if kind not in self._names:
            row = self._database.execute("SELECT names FROM names WHERE id = ?", (kind,)).fetchone()
            names = msgspec.json.decode(row[0], type=list[str]) if row else []
            self._names[kind] = {name: place for place, name in enumerate(names)}
            while len(self._names) > _SCHEMAS_IN_MEMORY:
                self._names.popitem(last=False)
        self._names.move_to_end(kind)
        return self._names[kind]

    def _figure(self, name: str, kind: int | None, place: int) -> float | None:
        at = self._places(kind).get(name) if kind is not None else None
        return None if at is None else self._figures.one(place + at)

    def _sorted_by_value(
        self, kind: str, name: str, where: str, values: Mapping[str, object], *, descending: bool
    ) -> list[int]:
        """Ids of rows in the order of one value of each; those without one are last."""
        column = "parameters, names" if kind == "parameter" else "names, place"
        # Runs with the same list of figures come together, so that each list is read once.
        order = "names, number DESC" if kind == "figure" else "number DESC"
        found = self._database.execute(f"SELECT rowid, {column} FROM run {where} ORDER BY {order}", values)  # noqa: S608 - constants
        pairs: list[tuple[tuple[int, float, str], int]] = []
        without: list[int] = []
        for rowid, first, second in found.fetchall():
            value = msgspec.json.decode(first).get(name) if kind == "parameter" else self._figure(name, first, second)
            if value is None:
                without.append(rowid)
            else:
                pairs.append((_order(value), rowid))
        return [rowid for _, rowid in sorted(pairs, reverse=descending)] + without

    def _row(self, rowid: int, live: str) -> _Columns:
        found: _Columns = self._database.execute(
            f"SELECT {_COLUMNS}, {_STATE} FROM run WHERE rowid = :rowid",  # noqa: S608 - constants
            {"rowid": rowid, "live": live},
        ).fetchone()
        return found

    def _shown(self, row: _Columns, columns: Sequence[str]) -> dict[str, object]:
        keys = (
            "run",
            "number",
            "application",
            "",
            "reason",
            "started",
            "ended",
            "steps",
            "done",
            "cached",
            "failed",
            "doing",
        )
        shown: dict[str, object] = {key: value for key, value in zip(keys, row, strict=False) if key}
        parameters, headline, kind, place, sweep, state = row[12:]
        return {
            **shown,
            "state": state,
            "parameters": msgspec.json.decode(parameters),
            "headline": msgspec.json.decode(headline),
            "figures": {name: self._figure(name, kind, place) for name in columns},
            "sweep": msgspec.json.decode(sweep) if sweep is not None else None,
        }


def _database(path: Path) -> sqlite3.Connection:
    found = sqlite3.connect(path, check_same_thread=False, timeout=10)
    try:
        _require_version(found)
        # Journals have all of it: a crash costs the reading of them.
        for setting in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -8192", f"user_version = {VERSION}"):
            found.execute(f"PRAGMA {setting}")
        found.executescript(_TABLES)
    except BaseException:  # whatever ends the opening, the file is closed
        found.close()
        raise
    return found


def _require_version(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
        raise sqlite3.DatabaseError("it is of another version")


def _filter(query: Query) -> tuple[str, dict[str, object]]:
    conditions, values = ["1"], dict[str, object]()
    if query.sweeps:
        conditions.append("sweep IS NOT NULL")
    if query.state:
        conditions.append(f"{_STATE} = :state")
        values["state"] = query.state
    for place, word in enumerate(query.text.split()[:8]):
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values[f"w{place}"] = f"%{escaped}%"
        text = "run || ' ' || number || ' ' || reason || ' ' || CAST(parameters AS TEXT)"
        conditions.append(f"{text} LIKE :w{place} ESCAPE '\\'")
    return f"WHERE {' AND '.join(conditions)}", values


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by size, then texts; a parameter may be either."""
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)
