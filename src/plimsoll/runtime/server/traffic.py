"""Traffic splitting: the version of a model that answers a request, by header or weight, and its shadows. Pure.

The rules are those of the Gateway API's HTTPRoute, so that a split works on one machine as on a cluster: a match of
headers precedes weights, and weights are relative to their sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from msgspec import Struct


class Share(Struct, frozen=True, kw_only=True):
    """One version's part of the traffic.

    `weight` is relative to the sum of all weights. A request with all of `headers` (names in small letters) goes to
    this version and ignores the weights. `shadow` is the percentage of requests of which this version gets a copy; the
    answers to copies are dropped.
    """

    version: str
    weight: int = 0
    headers: Mapping[str, str] = {}
    shadow: int = 0


class Route:
    """The shares of one model, prepared for one choice per request."""

    def __init__(self, shares: Sequence[Share]) -> None:
        weighted = [share for share in shares if share.weight > 0]
        self._by_headers = [share for share in shares if share.headers]
        self._versions = [share.version for share in weighted]
        self._limits = list(accumulate(share.weight for share in weighted))
        self._shadows = [share for share in shares if share.shadow > 0]
        self.has_shadows = bool(self._shadows)
        self.only = self._versions[0] if len(weighted) == 1 and not self._by_headers and not self._shadows else None
        """The version that gets all requests, when there is nothing to choose."""

    def choose(self, headers: Mapping[str, str], draw: float) -> str | None:
        """The version that answers; `draw` is uniform in [0, 1). `None` when no version has a weight."""
        for share in self._by_headers:
            if all(headers.get(name) == value for name, value in share.headers.items()):
                return share.version
        if not self._limits:
            return None
        point = draw * self._limits[-1]
        return next(version for version, limit in zip(self._versions, self._limits, strict=True) if point < limit)

    def shadows(self, answered_by: str, draw: float) -> list[str]:
        """The versions that get a copy of a request; `draw` is uniform in [0, 1)."""
        return [s.version for s in self._shadows if s.version != answered_by and draw * 100 < s.shadow]
