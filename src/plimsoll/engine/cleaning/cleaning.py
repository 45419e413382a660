"""`plimsoll clean`: finds what nothing needs any more, and removes it so that a kill leaves each thing whole or gone.

A run that begins waits for it; one that is under way is among the runs that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.engine.cleaning.kept import Kept, kept_of, states_beside
from plimsoll.engine.cleaning.models import RegistryWaste, registry_waste, remove_waste
from plimsoll.engine.cleaning.removals import Removal, dangling_links, removals
from plimsoll.errors import ModelRefused, PlimsollError, TargetError
from plimsoll.state.beginning import none_beginning
from plimsoll.state.removing import discard, remove_whole
from plimsoll.targets.features import LEAVINGS, USES, VersionUse
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target

KEEP = 10
"""Runs that are kept by default."""


class Cleaned(Struct, frozen=True, kw_only=True):
    """What goes or has gone, and in sentences what stays although it could be thought to go."""

    removals: tuple[Removal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all together."""
        return sum(each.size for each in self.removals)


class Cleaning:
    """The clean of one target, which keeps the newest `keep` runs there and all that they need."""

    def __init__(self, target: Target, keep: int = KEEP) -> None:
        self._target = target
        self._state = target.state
        self._keep = keep
        self._registry = model_registry(target.state)

    def find(self) -> Cleaned:
        """What would go at this moment. Nothing is written."""
        kept, uses = self._kept()
        waste, note = self._waste(kept, uses)
        notes = [note] if note else []
        found = self._leavings(kept, notes.append, remove=False)
        found += self._removals(kept, uses, waste)
        found += waste.removals() if waste is not None else []
        return Cleaned(removals=tuple(found), notes=tuple(notes))

    def carry_out(self, listener: Callable[[Removal], None] = lambda _: None) -> Cleaned:
        """Remove it; `listener` is told of each thing that is gone.

        Raises TargetError while another clean goes on, and PlimsollError when it is not known what a run needs.
        """
        state = self._state
        gone: list[Removal] = []
        notes: list[str] = []

        def tell(removal: Removal) -> None:
            gone.append(removal)
            listener(removal)

        try:
            with none_beginning(state.gate):
                kept, uses = self._kept()
                waste, note = self._waste(kept, uses)
                notes += [note] if note else []
                # First, because somebody's run may be under way on a cluster: then nothing is removed at all.
                for removal in self._leavings(kept, notes.append, remove=True):
                    tell(removal)
                for removal in self._removals(kept, uses, waste):
                    self._remove(removal)
                    tell(removal)
                for link in dangling_links(state):
                    link.unlink(missing_ok=True)
                if waste is not None:
                    notes += self._remove_waste(kept, tell)
        except OSError as error:
            raise TargetError(
                f"cannot be removed: {error.strerror or error}",
                where=str(error.filename or state.root),
                hint="make it writable, and run plimsoll clean again: what is gone is gone as a whole",
            ) from error
        return Cleaned(removals=tuple(gone), notes=tuple(notes))

    def _kept(self) -> tuple[list[Kept], Sequence[VersionUse]]:
        """What is needed on this target first, then on the application's others; and what services use here."""
        uses = self._target.features.require(USES)() if USES in self._target.features else ()
        own = kept_of(self._state, self._keep, [use.run for use in uses if use.run])
        others = [kept_of(other, self._keep) for other in states_beside(self._state)]
        # A run over several targets has its journal on this machine, and results on each of them.
        spanning = [each for each in others if self._target.name in each.targets]
        own = replace(
            own,
            keys=own.keys.union(*(use.keys for use in uses), *(each.keys for each in spanning)),
            services=own.services.union(*(each.services for each in spanning)),
        )
        return [own, *others], uses

    def _removals(self, kept: Sequence[Kept], uses: Sequence[VersionUse], waste: RegistryWaste | None) -> list[Removal]:
        code = frozenset[str]().union(*(each.code | each.keys for each in kept))
        own = replace(kept[0], services=kept[0].services | {use.service for use in uses})
        return removals(self._state, own, code, waste.stay if waste is not None else None)

    def _leavings(self, kept: Sequence[Kept], say: Callable[[str], None], *, remove: bool) -> list[Removal]:
        """What has gone, or would go, outside of the state directory."""
        if LEAVINGS not in self._target.features:
            return []
        there = self._target.features.require(LEAVINGS)
        found = there.remove(kept[0].keys, say) if remove else there.find(kept[0].keys, say)
        return [Removal(kind=each.kind, name=each.name, size=each.size) for each in found]

    def _waste(self, kept: Sequence[Kept], uses: Sequence[VersionUse]) -> tuple[RegistryWaste | None, str]:
        """What goes of the registry; None with the reason for one that cannot be trusted to say what is needed."""
        try:
            return registry_waste(self._registry, kept, uses), ""
        except ModelRefused as error:
            return None, f"the registry stays as it is: {error.on_one_line()}"

    def _remove(self, removal: Removal) -> None:
        path = Path(removal.path)
        if path.parent == self._state.removed:
            discard(path)
        else:
            remove_whole(path, self._state.removed)

    def _remove_waste(self, kept: Sequence[Kept], tell: Callable[[Removal], None]) -> list[str]:
        """Remove what goes of the registry, with what services use at that moment; gives why it stays, if it does."""

        def find() -> RegistryWaste:
            features = self._target.features
            return registry_waste(self._registry, kept, features.require(USES)() if USES in features else ())

        try:
            for removal in remove_waste(self._registry, find, self._state.removed):
                tell(removal)
        except PlimsollError as error:
            return [f"the registry stays as it is: {error.on_one_line()}"]
        return []
