"""Which lines of an audit log are asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from plimsoll.audit.chain import OWN
from plimsoll.audit.verification import Place
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError


class Call(Struct, frozen=True, kw_only=True):
    """A line of a call: where it stands, and what it says."""

    place: Place
    values: Mapping[str, object]

    @property
    def who(self) -> Mapping[str, object]:
        """The caller: `client`, `user`."""
        who = self.values.get("who")
        return who if isinstance(who, dict) else {}

    @property
    def at(self) -> datetime | None:
        """When it began."""
        try:
            found = datetime.fromisoformat(str(self.values.get("at")))
        except ValueError:
            return None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    @property
    def status(self) -> int:
        """Its status; 0 where the line has none."""
        status = self.values.get("status")
        return status if isinstance(status, int) else 0


class Query(Struct, frozen=True, kw_only=True):
    """What is asked for; what is left out restricts nothing. `caller` is an address or a user."""

    since: datetime | None = None
    until: datetime | None = None
    caller: str | None = None
    statuses: tuple[range, ...] = ()
    model: str | None = None
    version: str | None = None

    def matches(self, call: Call) -> bool:
        """Whether a call is asked for."""
        at = call.at
        if (self.since is not None or self.until is not None) and at is None:
            return False
        return (
            (self.since is None or at is None or at >= self.since)
            and (self.until is None or at is None or at < self.until)
            and (self.caller is None or self.caller in call.who.values())
            and (not self.statuses or any(call.status in each for each in self.statuses))
            and (self.model is None or call.values.get("model") == self.model)
            and (self.version is None or call.values.get("version") == self.version)
        )


def calls_in(lines: Iterable[tuple[Place, bytes]], query: Query) -> Iterator[Call]:
    """The calls that are asked for. Lines that are none, or the log's own, are passed over: `verify` tells of them."""
    for place, line in lines:
        try:
            values = msgspec.json.decode(line, type=dict[str, object])
        except UNREADABLE:
            continue
        call = Call(place=place, values=values)
        if values.get("event") not in OWN and query.matches(call):
            yield call


def statuses_from(written: str) -> tuple[range, ...]:
    """Statuses from `413`, `4xx` or several with commas. Raises PlimsollError."""
    found = []
    for word in written.split(","):
        each = word.strip().lower()
        if len(each) == 3 and each.endswith("xx") and each[0] in "12345":
            found.append(range(int(each[0]) * 100, int(each[0]) * 100 + 100))
        elif len(each) == 3 and each.isascii() and each.isdigit():
            found.append(range(int(each), int(each) + 1))
        else:
            raise PlimsollError(f"'{word.strip()}' is no status", where="--status", hint="write 413, 4xx or 401,403")
    return tuple(found)


def time_from(written: str, option: str) -> datetime:
    """A time from ISO 8601, in UTC where it says no zone. Raises PlimsollError."""
    try:
        found = datetime.fromisoformat(written)
    except ValueError as error:
        hint = "write it as 2026-01-31, or 2026-01-31T12:00:00+01:00"
        raise PlimsollError(f"'{written[:80]}' is no time", where=option, hint=hint) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
