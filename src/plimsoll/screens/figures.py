"""What a screen finds: figures, places in the table, and what could not be measured. Never a value of a cell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from plimsoll.decoding import decodable

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "duplicates": "the share of rows whose features an earlier row has too",
        "contradictions": "the share of rows of which a near duplicate has another label",
        "flips": "the share of rows whose label the other rows contradict",
        "flips_rise": "by how much `flips` is above that of the version before",
        "triggers": "rare values and words that decide a label against all else that their rows have",
        "shift": "how far the column moved the most that is not as it was in the version before",
        "personal": "columns with personal data that the file does not name",
        "leaked": "the share of rows that are held out and have the features of one to learn from",
        "near_leaked": "the share of rows that are held out and are near duplicates of one to learn from",
    }
)
"""Each figure and what it is. All are better when they are less; only `flips_rise` can be below nought."""
NEEDS_LABEL = frozenset({"contradictions", "flips", "flips_rise", "triggers"})
MOST_ROWS_NAMED = 20


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a figure counts in one place. `rows` are numbers of the table's rows, from 1: the first of `count`."""

    figure: str
    column: str = ""
    what: str = ""
    count: int = 0
    rows: tuple[int, ...] = ()

    def line(self) -> str:
        """The finding in words."""
        where = f"column {self.column}: " if self.column else ""
        more = ", …" if self.count > len(self.rows) else ""
        rows = f" (rows {', '.join(map(str, self.rows))}{more})" if self.rows else ""
        return f"{self.figure}: {where}{self.what}{rows}"


@decodable
class Screening(Struct, frozen=True, kw_only=True):
    """What a screen found in `rows` rows, of which `compared` were held against each other.

    `figures` are those that were measured, `unmeasured` says of the others why not. `first` has those that compare with
    a version before when there is none. `held_out` is how many rows are for tests.
    """

    rows: int
    compared: int
    held_out: int = 0
    figures: Mapping[str, float] = {}
    unmeasured: Mapping[str, str] = {}
    first: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
