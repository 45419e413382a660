"""Sends the logs that wait, in the order that the owner wants, within a budget of bytes for a day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.agent.disk import AgentDisk, Identity
from plimsoll.edge.agent.spool import Spool, Waiting
from plimsoll.edge.documents import LOG, LogFile, UploadRule
from plimsoll.edge.envelopes import seal
from plimsoll.edge.place import EdgePlace, log_tag, logs_of, newest_log
from plimsoll.files import digest_of_file, replace_file
from plimsoll.registry.references import parse_reference

SENDING = 20.0
"""Seconds of one sync: reports and states come through in between."""
AROUND = 4096
"""Bytes of the signed document that goes with a file."""
MOST_RANGES = 100
"""Ranges of numbers that a report names."""


class Budget:
    """The bytes that were sent on the present day, by the device's clock and in UTC."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._spent = msgspec.json.decode(file.read_bytes(), type=_Spent)
        except (FileNotFoundError, *UNREADABLE):
            self._spent = _Spent()

    @property
    def spent(self) -> int:
        """Bytes of today."""
        return self._spent.bytes if self._spent.day == _today() else 0

    def spend(self, count: int) -> None:
        """Count bytes that are about to be sent: a kill while they are on their way gives none back."""
        self._spent = _Spent(day=_today(), bytes=max(0, self.spent + count))
        replace_file(self._file, msgspec.json.encode(self._spent))


@decodable
class _Spent(Struct, frozen=True, kw_only=True):
    day: str = ""
    bytes: int = 0


class LogSender:
    """The device's logs on their way to its repository of logs."""

    def __init__(self, disk: AgentDisk, identity: Identity) -> None:
        self._disk = disk
        self._identity = identity
        self._place = EdgePlace(logs_of(parse_reference(identity.place), identity.device))
        self.spool = Spool(disk.root / "spool")
        self.budget = Budget(disk.root / "spent.json")

    @property
    def logged(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """The newest number that waits no more, and the ranges before it that do."""
        above = self.spool.above
        if above is None:
            return 0, ()
        return logged(above + self.spool.newest, [above + each.number for each in self.spool.waiting()])

    def send(self, rule: UploadRule) -> bool:
        """Send what waits; whether there is more to send at once. Raises RegistryError; what was sent is sent.

        A file that is larger than the budget of a whole day is dropped and counted.
        """
        end = time.monotonic() + SENDING
        waiting = self.spool.waiting()
        if waiting and self.spool.above is None:
            self.spool.begin_above(newest_log(self._place.tags()))
        for each in reversed(waiting) if rule.newest else waiting:
            cost = each.size + AROUND
            if rule.budget and cost > rule.budget:
                self.spool.drop(each)
                continue
            if rule.budget and self.budget.spent + cost > rule.budget:
                return False
            if time.monotonic() > end:
                return True
            self.budget.spend(cost)
            before = self._place.sent
            try:
                self._send(each)
            finally:
                # What a link that went has not taken, is left for today.
                self.budget.spend(self._place.sent - before - cost)
        return False

    def close(self) -> None:
        """Close connections."""
        self._place.close()

    def _send(self, each: Waiting) -> None:
        identity, number = self._identity, (self.spool.above or 0) + each.number
        about = LogFile(
            device=identity.device,
            number=number,
            service=each.service,
            log=each.log,
            digest=digest_of_file(each.path),
        )
        name = f"{identity.group}/{identity.device}/log/{number}"
        self._place.write(log_tag(number), seal(name, LOG, about, self._disk.keys), each.path)
        self.spool.sent(each)


def logged(newest: int, waiting: Sequence[int]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The newest number that waits no more of those that were given, and the ranges before it that do. Pure."""
    left = set(waiting)
    while newest in left:
        newest -= 1
    ranges: list[tuple[int, int]] = []
    for number in sorted(each for each in left if each < newest):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        elif len(ranges) < MOST_RANGES:
            ranges.append((number, number))
        else:
            # The rest is told by a later report: until then nobody asks for it.
            return number - 1, tuple(ranges)
    return newest, tuple(ranges)


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
