"""The memory that the requests of one caller may hold together, so that one of them takes nobody else's."""

from __future__ import annotations

from collections import OrderedDict

from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.refusals import TooLarge, TooMany


class Share(Memory):
    """A budget in bytes for the requests of one caller: bodies that arrive or wait, and tensors that are read."""

    def refusal(self) -> TooMany:
        """Why a request beyond it is refused."""
        return TooMany(f"the requests of this caller may hold {self.limit} bytes together", retry_after=1)

    def reserve(self, count: int) -> None:
        """Count bytes before they are allocated. Raises TooMany, TooLarge."""
        if count > self.limit:
            raise TooLarge(f"the tensors of the request need {count} bytes, a caller has {self.limit}")
        if not self.change(count):
            self.change(-count)
            raise self.refusal()


class Shares:
    """The budgets of callers by their names. Of more than `most`, one that holds nothing is forgotten."""

    def __init__(self, limit: int, most: int) -> None:
        self.limit = limit
        self._most = most
        self._shares: OrderedDict[str, Share] = OrderedDict()

    def of(self, caller: str) -> Share:
        """The budget of a caller."""
        share = self._shares.get(caller)
        if share is None:
            if len(self._shares) >= self._most:
                idle = next((name for name, each in self._shares.items() if each.held <= 0), None)
                del self._shares[idle if idle is not None else next(iter(self._shares))]
            share = self._shares[caller] = Share(self.limit)
        self._shares.move_to_end(caller)
        return share
