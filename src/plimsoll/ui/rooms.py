"""All places of a server with what is known of each: its index of runs, its follower, its models and services."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from plimsoll.engine.history import RunHistory
from plimsoll.engine.run_comparison import find_run
from plimsoll.errors import PlimsollError
from plimsoll.targets.port import Target
from plimsoll.targets.table import target_of
from plimsoll.ui.acts import Acts
from plimsoll.ui.curves import Curves
from plimsoll.ui.device_pages import DevicePages
from plimsoll.ui.events import Event, Hub
from plimsoll.ui.following import Follower, PlaceFollower
from plimsoll.ui.model_pages import ModelPages
from plimsoll.ui.places import Place, places
from plimsoll.ui.run_index import RunIndex
from plimsoll.ui.run_pages import read_run
from plimsoll.ui.service_watch import ServiceWatch
from plimsoll.ui.sweep_pages import SweepReader

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the services of a place while a page is open."""
INDEX = "ui"
"""The directory of the index below a target's state."""


class Room:
    """One place of the server."""

    def __init__(self, place: Place, hub: Hub) -> None:
        self.place = place
        # A directory that has no state gets none from being looked at: its index is temporary.
        state = place.state
        self.index = RunIndex(state.root / INDEX if state.root.is_dir() else None)
        self.follower = PlaceFollower(place, self.index, hub)
        self.models = ModelPages(state)
        self.devices = DevicePages(state.root)
        self.watch = ServiceWatch(self.target)

    def target(self) -> Target:
        """The target, to be closed by whoever asks. Raises PlimsollError when it cannot be used."""
        return target_of(self.place.target, self.place.directory, self.application)

    def run_id(self, word: str) -> str:
        """The id of a run, given as its number, its id, or the beginning of one. Raises PlimsollError.

        The index knows it: to look at ten thousand directories takes seconds.
        """
        if self.place.state.has_run(word):
            return word
        return self.index.find(word) or find_run(self.place.state, word)

    def read_run(self, word: str) -> RunHistory:
        """A run as its journal has it. Raises PlimsollError when there is none."""
        return read_run(self.place.state, self.run_id(word), self.follower.live)

    @property
    def application(self) -> str:
        """The application's name, from its newest run or else from its file."""
        return self.place.application or _named_in_file(self.place.directory)


class Rooms:
    """All places, and the threads that look at them."""

    def __init__(self, directories: Sequence[Path], contexts: Sequence[str] = ()) -> None:
        self.hub = Hub()
        self.acts = Acts(self.hub)
        self.curves = Curves()
        self.sweeps = SweepReader()
        self._rooms = {place.id: Room(place, self.hub) for place in places(directories, contexts)}
        self._follower = Follower([room.follower for room in self._rooms.values()], self.hub)
        self._stopping = threading.Event()
        self._lookers = [
            threading.Thread(target=self._look, args=(room,), name=f"services of {room.place.id}", daemon=True)
            for room in self._rooms.values()
        ]

    def start(self) -> None:
        """Begin to follow files and to look at services."""
        self._follower.start()
        for thread in self._lookers:
            thread.start()

    def all(self) -> list[Room]:
        """Every place, in the order of the directories."""
        return list(self._rooms.values())

    def of(self, place: str) -> Room:
        """The place of an id. Raises PlimsollError when there is none."""
        room = self._rooms.get(place)
        if room is None:
            raise PlimsollError(f"there is no place '{place}'", hint=f"the places are {', '.join(self._rooms)}")
        return room

    def close(self) -> None:
        """End acts and threads, and close files."""
        self.acts.close()
        self.hub.close()
        self._stopping.set()
        self._follower.close()
        for room in self._rooms.values():
            room.index.close()

    def _look(self, room: Room) -> None:
        """Look at the services of one place; a context that does not answer holds up no other."""
        while not self._stopping.is_set():
            if not self.hub.is_empty:
                room.watch.look()
                self.hub.tell(Event(kind="looked", place=room.place.id, data=room.watch.page()))
            until = time.monotonic() + LOOK_INTERVAL
            while time.monotonic() < until and not self._stopping.wait(0.1):
                if not self.hub.is_empty and not room.watch.has_looked:
                    break


def _named_in_file(directory: Path) -> str:
    from plimsoll.kinds.table import KINDS
    from plimsoll.ui.places import FILE

    try:
        return KINDS.load(directory / FILE).application.name
    except PlimsollError:
        # A file that is wrong names nothing; its runs do.
        return ""
