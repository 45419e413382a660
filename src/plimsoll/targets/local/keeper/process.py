"""The keeper's own process: starts and ends the services that are wanted, and writes down how they are."""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from plimsoll.files import replace_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.keeper.records import KeeperLock, KeeperPlace, ServiceState, own_record
from plimsoll.targets.local.keeper.service_keeper import ServiceKeeper
from plimsoll.targets.local.leftover_processes import kill_leftover_processes
from plimsoll.targets.local.warden import Warden

TICK = 0.1
"""Seconds between two looks at what is wanted."""
LOCK_PATIENCE = 2.0
"""Seconds for which the lock is tried: whoever asks whether a keeper lives holds it for a moment."""


class Keeper:
    """Keeps up what `wanted` names, for the application in a directory."""

    def __init__(self, directory: Path) -> None:
        self._place = KeeperPlace(StateDirectory(directory))
        self._warden = Warden()
        self._since = datetime.now(UTC)
        self._states: dict[str, ServiceState] = {}
        self._writing = threading.Lock()
        self._kept: dict[str, ServiceKeeper] = {}
        self._stopping = threading.Event()

    def run(self) -> int:
        """Keep services up until SIGTERM, SIGINT, or nothing is wanted; returns the exit status."""
        lock = KeeperLock(self._place)
        deadline = time.monotonic() + LOCK_PATIENCE
        while not lock.acquire():
            if time.monotonic() > deadline:
                print("another keeper of this application lives", file=sys.stderr)
                return 1
            time.sleep(TICK)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        ended = ""
        try:
            self._write()
            kill_leftover_processes(self._place.servers)
            self._warden.start()
            while not self._stopping.wait(TICK) and self._look():
                pass
            ended = "it was asked to" if self._stopping.is_set() else "nothing is left to keep up"
        except BaseException as error:
            # Whatever it is, who looks for the services is told; the trace is in the log.
            traceback.print_exc()
            ended = f"this is a defect of plimsoll ({type(error).__name__}: {error}); see {self._place.log}"
            raise
        finally:
            self._end_all()
            self._write(ended)
            lock.release()
        return 0

    def _look(self) -> bool:
        """Start and end services as it is wanted now; false when none is wanted."""
        wanted = self._place.wanted()
        leaving = [
            each
            for name, each in self._kept.items()
            if name not in wanted or wanted[name].settings != each.wanted.settings
        ]
        self._end(leaving)
        for name, each in wanted.items():
            if name not in self._kept:
                self._kept[name] = ServiceKeeper(self._place, self._warden, each, self._told)
                self._kept[name].begin()
        return bool(wanted)

    def _end(self, services: list[ServiceKeeper]) -> None:
        for each in services:
            each.ask_to_end()
        for each in services:
            each.join()
            del self._kept[each.name]
            with self._writing:
                self._states.pop(each.name, None)
        if services:
            self._write()

    def _end_all(self) -> None:
        self._end(list(self._kept.values()))
        self._warden.close()

    def _told(self, name: str, state: ServiceState) -> None:
        with self._writing:
            self._states[name] = state
        said = f"{name} is {state.state} {state.url}".rstrip() + (f": {state.reason}" if state.reason else "")
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {said}", flush=True)
        self._write()

    def _write(self, ended: str = "") -> None:
        with self._writing:
            record = own_record(self._states, self._since, ended)
            replace_file(self._place.record, msgspec.json.encode(record), durable=False)
