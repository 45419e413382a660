"""Which version a service moved to, when and why: a journal beside those of the runs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import observed
from plimsoll.evidence.secrets import without_secrets
from plimsoll.state.directory import StateDirectory

EVENT = "version-moved"
SOURCE = "engine"


@decodable
class VersionMoved(Struct, frozen=True, kw_only=True):
    """A service's requests were to move from version `old` to `new` of its model; `moved` says whether they did.

    `cause` is `up`, `run`, `promote` or `rollback`. `forced`: whatever the comparison said. `worse` has what it said
    against the new version, `not_compared` why figures were left out of it.
    """

    service: str
    model: str
    old: str
    new: str
    cause: str
    moved: bool = True
    forced: bool = False
    reason: str = ""
    worse: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()

    def line(self) -> str:
        """The move as a predicate of the service."""
        if not self.old:
            return f"began with {self.model}@{self.new} by plimsoll {self.cause}"
        way = f"from {self.model}@{self.old} to {self.model}@{self.new}"
        verb = "moved" if self.moved else "was not moved"
        forced = ", whatever the comparison said (--force)" if self.forced else ""
        against = f"; it said: {'; '.join(self.worse)}" if self.forced and self.worse else ""
        why = f": {self.reason}" if self.reason and not self.moved else ""
        return f"{verb} {way} by plimsoll {self.cause}{forced}{against}{why}"


def record_move(state: StateDirectory, move: VersionMoved) -> None:
    """Append a move. Raises PlimsollError when the disk does not take it."""
    values = {name: without_secrets(value) for name, value in msgspec.to_builtins(move).items()}
    with Journal(state.moves) as journal:
        journal.append(observed(SOURCE, move.service, EVENT, **values))


def moves_of(state: StateDirectory, service: str) -> Sequence[tuple[datetime, VersionMoved]]:
    """All moves of a service with their times, oldest first; what cannot be read is left out."""
    found = []
    with contextlib.suppress(PlimsollError):
        for seen in read_journal(state.moves):
            if seen.subject == service and seen.event == EVENT:
                with contextlib.suppress(msgspec.ValidationError):
                    found.append((seen.at, msgspec.convert(seen.fact, type=VersionMoved)))
    return found


def came_from(state: StateDirectory, service: str, model: str, version: str) -> str:
    """The version that a service had before it last moved to this one; empty when no move to it is known."""
    moves = [move for _, move in moves_of(state, service) if move.model == model and move.moved and move.old]
    return next((move.old for move in reversed(moves) if move.new == version and move.old != version), "")


def newest_offered(state: StateDirectory, service: str, model: str) -> int:
    """The newest version of a model that the service has had, or was to have; 0 for none."""
    moves = [move for _, move in moves_of(state, service) if move.model == model]
    return max((int(each) for move in moves for each in (move.old, move.new) if each.isdigit()), default=0)
