"""What counts as drift. Every number with its meaning and why it is what it is."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """A feature alarms when a difference is both improbable and large enough to matter.

    `daily` is the chance that anything alarms at all in a day without a shift, over all features, statistics and
    windows together. The floors keep differences quiet that many rows make certain and that change nothing: `ks` and
    `psi` for numbers, `distance` (Jensen-Shannon) for categories, `share` for missing values, values outside of all
    that was seen, unseen categories and single words (each a share of the rows).
    """

    daily: float = 0.01
    ks: float = 0.04
    psi: float = 0.015
    distance: float = 0.05
    share: float = 0.005

    def of_window(self, seconds: float, spans: int) -> float:
        """The level of one of `spans` judgements at the end of a window of some seconds.

        By Boole's inequality the levels of a day add up to `daily`; a window of a day or more has all of it.
        """
        return self.daily * min(1.0, seconds / 86_400) / spans
