"""Places in stores of vectors that builds of indexes have made: before a place is made, a file says that it will be.

So a build that was killed leaves nothing that nobody knows of, and `plimsoll clean` deletes what no version needs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.indexes.layout import StorePlace, read_facts
from plimsoll.kinds.index import BuildIndex, IndexResult
from plimsoll.planning.capacity import Shortfall
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import holder
from plimsoll.stores.naming import fresh_name, shown
from plimsoll.stores.places import places_named
from plimsoll.targets.features import HasLeavings, Leaving
from plimsoll.targets.models import model_registry

if TYPE_CHECKING:
    from plimsoll.planning.steps import Plan

KIND = "vectors"


@decodable
class PlaceRecord(Struct, frozen=True, kw_only=True):
    """A place, and the key of the step that made it."""

    key: str
    place: StorePlace


def new_place(state: StateDirectory, index: str, key: str, settings: StorePlace) -> StorePlace:
    """A place for the vectors of a build, which is written down here and not yet made.

    Raises StoreError when the store would not take them.
    """
    settled = places_named(settings.kind).settle(settings)
    name, mark = fresh_name(index)
    place = replace(settled, name=name, mark=mark)
    path = state.stores / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.json.encode(PlaceRecord(key=key, place=place)))
    except OSError as error:
        hint = "free space on the disk, or make the directory writable"
        raise TargetError(f"cannot be written: {error.strerror or error}", where=str(path), hint=hint) from error
    return place


def store_problems(plan: Plan) -> Sequence[Shortfall]:
    """What keeps the stores of a plan from taking vectors: each is asked once, with a limit."""
    asked: dict[StorePlace, str] = {}
    found = []
    for step in plan.steps:
        if not isinstance(step.work, BuildIndex) or (settings := step.work.place()) is None:
            continue
        if settings not in asked:
            asked[settings] = _problem(settings)
        if message := asked[settings]:
            at = ("store", settings.kind, "url")
            text, _, hint = message.partition("\n")
            found.append(Shortfall(step=step.name, setting=at, message=text, remedy=hint))
    return found


def _problem(settings: StorePlace) -> str:
    try:
        places_named(settings.kind).settle(settings)
    except PlimsollError as error:
        return f"{error.message}\n{error.hint}"
    return ""


class VectorPlaces:
    """The places of one application, as leavings."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state

    def find(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Places that neither a version needs, nor a result of `keys`, nor a run that goes on."""
        return [Leaving(kind=KIND, name=shown(record.place)) for _, record in self._unneeded(keys, say)]

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Delete them from their stores. One whose store cannot be asked stays, and is found again."""
        gone = []
        for path, record in self._unneeded(keys, say):
            try:
                places_named(record.place.kind).drop(record.place)
            except PlimsollError as error:
                say(f"{shown(record.place)} stays: {error.on_one_line()}")
                continue
            path.unlink(missing_ok=True)
            gone.append(Leaving(kind=KIND, name=shown(record.place)))
        return gone

    def sizes(self) -> Mapping[str, int]:
        """Nothing: they take no room on this machine."""
        return {}

    def _unneeded(self, keys: Collection[str], say: Callable[[str], None]) -> list[tuple[Path, PlaceRecord]]:
        records = list(self._records(say))
        if not records:
            return []
        try:
            registered = {
                version.lineage.index.store
                for version in model_registry(self._state).versions()
                if version.lineage.index
            }
        except PlimsollError as error:
            say(f"vectors in stores stay as they are: {error.on_one_line()}")
            return []
        return [
            (path, record)
            for path, record in records
            if shown(record.place) not in registered and not self._is_of_result(record, keys)
        ]

    def _is_of_result(self, record: PlaceRecord, keys: Collection[str]) -> bool:
        """Whether the place is of a result that stays, or is being filled now."""
        if record.key not in keys:
            return False
        if self._state.result(record.key, IndexResult) is None:
            return holder(self._state.lock) is not None
        with contextlib.suppress(PlimsollError):
            facts = read_facts(self._state.output(record.key))
            # While the step is carried out anew, its earlier result is still there.
            return facts.store == record.place or holder(self._state.lock) is not None
        return True

    def _records(self, say: Callable[[str], None]) -> Iterator[tuple[Path, PlaceRecord]]:
        for path in sorted(self._state.stores.glob("*.json")):
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=PlaceRecord)
            except (*UNREADABLE, OSError) as error:
                say(f"{path} cannot be read, and what it names stays: {error}")


class Leavings:
    """What is outside of the state directory: several kinds as one."""

    def __init__(self, *parts: HasLeavings) -> None:
        self._parts = parts

    def find(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """What nothing needs any more."""
        return [each for part in self._parts for each in part.find(keys, say)]

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Remove it."""
        return [each for part in self._parts for each in part.remove(keys, say)]

    def sizes(self) -> Mapping[str, int]:
        """Bytes by kind."""
        return {kind: size for part in self._parts for kind, size in part.sizes().items()}
