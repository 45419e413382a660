"""The limits of drift, with the meaning of each number and the reason for it."""

from __future__ import annotations

from msgspec import Struct


class DriftLimits(Struct, frozen=True, kw_only=True):
    """A feature has an alarm when a difference is both improbable and large enough to matter.

    `daily` is the chance of any false alarm in a day without drift, over all features, statistics and windows. The
    other fields are the least differences for an alarm, because many rows make even harmless differences significant:
    `ks` and `psi` for numbers, `distance` (Jensen-Shannon) for categories, and `share` (of the rows) for missing
    values, values outside the range of training, unseen categories and single words.
    """

    daily: float = 0.01
    ks: float = 0.04
    psi: float = 0.015
    distance: float = 0.05
    share: float = 0.005

    def window_level(self, seconds: float, spans: int) -> float:
        """The significance level of one of `spans` comparisons at the end of a window of `seconds`.

        By Boole's inequality the levels of a day add up to `daily`. A window of a day or more uses all of it.
        """
        return self.daily * min(1.0, seconds / 86_400) / spans
