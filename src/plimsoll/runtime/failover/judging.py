"""Where the requests of a service should go, by what was seen of both sides. Pure.

Requests leave a side only after it was not ready for a while, and come back only after it was ready for longer, so that
a server that comes and goes does not take the requests with it.
"""

from __future__ import annotations

from msgspec import Struct


class Sides(Struct, frozen=True, kw_only=True):
    """What one look has seen: why each side is not ready, empty for one that is."""

    own: str = ""
    standby: str = ""


class Judge:
    """Decides between a service's own servers and its standby. Times are seconds of any one clock.

    `after` is for how long own servers are not ready before requests leave them, `back` for how long they are ready
    before requests come back. `leads` says that requests went to the standby when this began.
    """

    def __init__(self, after: float, back: float, *, leads: bool = False) -> None:
        self._after, self._back = after, back
        self.leads = leads
        self.why = ""
        """Why requests went where they go."""
        self._bad_since: float | None = None
        self._good_since: float | None = None

    def see(self, now: float, sides: Sides) -> bool:
        """Take note of a look; gives whether requests should go to the standby from now on."""
        if sides.own:
            self._good_since = None
            self._bad_since = now if self._bad_since is None else self._bad_since
        else:
            self._bad_since = None
            self._good_since = now if self._good_since is None else self._good_since
        if self.leads:
            self._stay_or_return(now, sides)
        elif self._bad_since is not None and now - self._bad_since >= self._after and not sides.standby:
            self.leads, self.why = True, sides.own
        return self.leads

    def _stay_or_return(self, now: float, sides: Sides) -> None:
        if self._good_since is None:
            return
        if sides.standby:
            # Nobody gains by waiting with a side that does not answer.
            self.leads, self.why = False, f"the standby is not ready: {sides.standby}"
        elif now - self._good_since >= self._back:
            self.leads, self.why = False, f"its own servers have been ready for {self._back:g} s"
