"""Follows the files of places, so that no page has to: journals, logs, curves, models, services and bundles."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from plimsoll.edge.fleet_file import groups_in
from plimsoll.kinds.train import TrainGang
from plimsoll.state.curves import FILE as CURVE
from plimsoll.state.integrity import OUTPUT
from plimsoll.state.lock import holder, noted_holder
from plimsoll.state.run_order import JOURNAL
from plimsoll.ui.events import WRITTEN, Event, Hub
from plimsoll.ui.places import Place, bundles
from plimsoll.ui.run_index import RunIndex
from plimsoll.ui.run_rows import JournalReader

INTERVAL = 0.1
"""Seconds between two looks at what goes on while a page is open."""
QUIET_INTERVAL = 1.0
"""The same while no page is open."""
SURE_INTERVAL = 20.0
"""Seconds between two looks that take the lock of a run, and at directories that seldom change."""
BATCH_SECONDS = 0.1
"""For how long journals are read before what was found is shown."""
CLOSE_LIMIT = 10.0
"""Seconds that a look may still take when the server ends."""
MOST_LOGS = 2000
"""Log files of a run that are looked at."""


class PlaceFollower:
    """Keeps the index of one place as its journals are."""

    def __init__(self, place: Place, index: RunIndex, hub: Hub) -> None:
        self.place = place
        self.index = index
        self.live = ""
        self.unread: list[str] = []
        """Runs whose journals are still to be read, the newest last."""
        self._hub = hub
        self._state = place.state
        self._known = index.sizes()
        self._unstarted: set[str] = set()
        self._readers: dict[str, JournalReader] = {}
        self._stamps: dict[str, object] = {}
        self._sizes: dict[str, dict[Path, int]] = {}
        self._anew: set[str] = set()
        self._sure = -SURE_INTERVAL
        self._is_first = True

    def tick(self) -> bool:
        """Look once; returns whether there is more to read at once."""
        now = time.monotonic()
        sure, self._sure = now - self._sure >= SURE_INTERVAL, self._sure
        if sure:
            self._sure = now
            self._tell_changed("devices", [_stamp(path) for path in groups_in(self._state.root)])
            self._tell_changed("checks", [_stamp(path) for path in bundles(self.place.directory)])
        self._find_runs()
        self._find_live(sure=sure)
        self._follow()
        self._tell_changed("models", _stamp(self._state.registry / "index.json"))
        self._tell_changed("services", _stamp(self._state.services))
        self._read_unread()
        return bool(self.unread)

    def look_anew(self, run: str) -> None:
        """A page has begun to show a run: the next look tells all that it has, for what it may have missed."""
        self._anew.add(run)

    def look_at(self, runs: Collection[str]) -> None:
        """Tell what has been written to the logs and curves of runs that pages show."""
        anew = {self._anew.pop() for _ in range(len(self._anew))}
        for run in (self._sizes.keys() - set(runs)) | (self._sizes.keys() & anew):
            del self._sizes[run]
        for run in runs:
            self._look_at(run)

    def _look_at(self, run: str) -> None:
        grown, sizes = {}, self._sizes.setdefault(run, {})
        for path in self._written(run):
            try:
                size = path.stat().st_size
            except OSError:
                continue
            if sizes.get(path) != size:
                sizes[path] = size
                grown[_log_name(path, self._state.logs(run))] = size
        if grown:
            self._tell(WRITTEN, run, grown)

    def _find_runs(self) -> None:
        stamp = _stamp(self._state.runs)
        if self._stamps.get("runs") == stamp and not self._is_first:
            return
        self._stamps["runs"] = stamp
        try:
            names = {entry.name for entry in os.scandir(self._state.runs) if not entry.name.startswith(".")}
        except OSError:
            names = set()
        if gone := [run for run in self._known if run not in names]:
            self.index.remove(gone)
            for run in gone:
                del self._known[run]
                self._readers.pop(run, None)
            self._tell("runs", "")
        if self._is_first:
            changed = (run for run in names if run not in self._known or self._journal_size(run) != self._known[run])
            self.unread, self._is_first = sorted(changed), False
        else:
            self.unread += sorted(names - self._known.keys() - self._unstarted - set(self.unread))
        self._unstarted &= names

    def _find_live(self, *, sure: bool) -> None:
        who = holder(self._state.lock) if sure and self.live else noted_holder(self._state.lock)
        live = who.run if who is not None else ""
        if live == self.live:
            return
        before, self.live = self.live, live
        for run in filter(None, (before, live)):
            self._read(run)
            self._tell("run", run, self.index.row(run, live))

    def _follow(self) -> None:
        """Read what has been appended to the journals of runs that have not ended."""
        for run, reader in list(self._readers.items()):
            if self._journal_size(run) != reader.size and reader.read() and reader.row.is_planned:
                self.index.put([(reader.row, reader.size)])
                self._tell("run", run, self.index.row(run, self.live))
            if run != self.live:
                del self._readers[run]

    def _read(self, run: str) -> None:
        if run not in self._readers and (self._state.runs / run / JOURNAL).exists():
            self._readers[run] = JournalReader(self._state.journal(run))

    def _read_unread(self) -> None:
        """Read journals for a moment, the newest first; a page is answered between two such moments."""
        until, rows = time.monotonic() + BATCH_SECONDS, []
        self.unread += sorted(run for run in self._unstarted if self._state.journal(run).exists())
        self._unstarted.difference_update(self.unread)
        while self.unread and time.monotonic() < until:
            run = self.unread.pop()
            reader = JournalReader(self._state.journal(run))
            try:
                reader.read()
            except OSError:
                # A journal comes after its directory.
                self._unstarted.add(run)
                continue
            self._known[run] = reader.size
            if reader.row.is_planned:
                rows.append((reader.row, reader.size))
            if run == self.live or (reader.row.ended is None and self._is_new(run)):
                self._readers[run] = reader
        if rows:
            self.index.put(rows)
            for row, _ in rows[:20]:
                self._tell("run", row.run, self.index.row(row.run, self.live))
            self._tell("runs", "", {"unread": len(self.unread)})

    def _is_new(self, run: str) -> bool:
        try:
            return time.time() - self._state.journal(run).stat().st_mtime < SURE_INTERVAL
        except OSError:
            return False

    def _written(self, run: str) -> Iterator[Path]:
        for number, path in enumerate(self._state.logs(run).rglob("*.log")):
            if number < MOST_LOGS:
                yield path
        if (reader := self._readers.get(run)) is not None:
            for step, key in reader.row.keys.items():
                if step.startswith(f"{TrainGang.verb}/"):
                    yield self._state.work / key / OUTPUT / CURVE
                    # Where pods train, their points come here.
                    yield self._state.earlier_points(key)

    def _journal_size(self, run: str) -> int:
        try:
            # The first look asks this of every run: a path made of texts takes a third of the time.
            return os.stat(f"{self._state.runs}/{run}/{JOURNAL}").st_size  # noqa: PTH116 - as said
        except OSError:
            return 0

    def _tell(self, kind: str, subject: str, data: object = None) -> None:
        self._hub.tell(Event(kind=kind, place=self.place.id, subject=subject, data=data))

    def _tell_changed(self, kind: str, stamp: object) -> None:
        if kind in self._stamps and self._stamps[kind] != stamp:
            self._tell(kind, "")
        self._stamps[kind] = stamp


class Follower:
    """One thread that follows all places."""

    def __init__(self, followers: Sequence[PlaceFollower], hub: Hub) -> None:
        self._followers = {each.place.id: each for each in followers}
        self._hub = hub
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_LIMIT)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = 0.005 if self._tick() else QUIET_INTERVAL if self._hub.is_empty else INTERVAL

    def _tick(self) -> bool:
        more, watched = False, self._hub.watched()
        for place, each in self._followers.items():
            try:
                more |= each.tick()
                each.look_at({run for where, run in watched if where == place})
            except Exception as error:  # noqa: BLE001 - one place that cannot be read must not stop the others
                self._hub.tell(Event(kind="problem", place=each.place.id, data=f"{type(error).__name__}: {error}"))
        return more


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _log_name(path: Path, logs: Path) -> str:
    return path.relative_to(logs).as_posix() if path.is_relative_to(logs) else CURVE
