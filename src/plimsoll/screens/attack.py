"""What an attack of membership inference comes to: how well it tells rows that were learnt from, from others. Pure."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable

FIGURES = ("membership_auc", "membership_auc_high", "membership_tpr", "membership_tpr_high")
"""Figures of the strongest attack, and the upper ends of their intervals, as `accept` of a model knows them."""
FALSE = 0.01
"""The share of other rows that may be taken for members where true positives are counted."""


class Attack(Struct, frozen=True, kw_only=True):
    """One attack: the area under its curve, and its true positives where one in a hundred others is taken for a member.

    The intervals are of 95 %: of the area by DeLong, of the share by Wilson.
    """

    name: str
    auc: float
    auc_low: float
    auc_high: float
    tpr: float
    tpr_low: float
    tpr_high: float


@decodable
class Membership(Struct, frozen=True, kw_only=True):
    """The attacks on a model over `members` rows that it learnt from and `others` that it has not seen."""

    members: int
    others: int
    attacks: tuple[Attack, ...]
    notes: tuple[str, ...] = ()

    def figures(self) -> dict[str, float]:
        """The worst of all attacks."""
        return {
            "membership_auc": max(each.auc for each in self.attacks),
            "membership_auc_high": max(each.auc_high for each in self.attacks),
            "membership_tpr": max(each.tpr for each in self.attacks),
            "membership_tpr_high": max(each.tpr_high for each in self.attacks),
        }
