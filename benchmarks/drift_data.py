"""The set of shifts by which drift is measured: synthetic ones, and real ones of the work orders' own years.

Each makes rows of a training reference, and of windows with and without the shift. All draws come from fixed seeds.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Random = np.random.Generator

ORDERS = Path(__file__).resolve().parents[1] / "examples" / "maintenance" / "data" / "orders.csv"
SITES = np.array(["north", "south", "east", "west", "depot"], dtype=object)
KINDS = np.array(["a", "b", "c", "d"], dtype=object)


def table(random: Random, rows: int) -> Columns:
    """Twenty columns as they come in practice: bell-shaped, skewed, counts, shares, mostly zero, categories."""
    columns: Columns = {f"normal_{n}": random.normal(n, 1 + n / 4, rows) for n in range(6)}
    columns |= {f"skewed_{n}": random.lognormal(0, 0.5 + n / 4, rows) for n in range(3)}
    columns |= {f"count_{n}": random.poisson(2 + 3 * n, rows) for n in range(3)}
    columns |= {f"share_{n}": random.beta(2, 2 + n, rows) for n in range(2)}
    columns |= {f"rare_{n}": np.where(random.random(rows) < 0.1, random.exponential(1, rows), 0.0) for n in range(2)}
    columns |= {f"site_{n}": SITES[random.choice(5, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05])] for n in range(2)}
    columns |= {f"kind_{n}": KINDS[random.choice(4, rows, p=[0.7, 0.2, 0.08, 0.02])] for n in range(2)}
    return columns


def _mixed(random: Random, column: Array, share: float, value: object) -> Array:
    changed = column.copy()
    changed[random.random(len(column)) < share] = value
    return changed


Change = Callable[[Random, Columns], Mapping[str, Array]]

SYNTHETIC: dict[str, Change] = {
    "mean up by 0.25 standard deviations": lambda _, c: {"normal_2": c["normal_2"] + 0.25 * 1.5},
    "mean down by 0.5": lambda _, c: {"normal_0": c["normal_0"] - 0.5},
    "mean up by 1": lambda _, c: {"normal_1": c["normal_1"] + 1.25},
    "spread times 1.3": lambda _, c: {"normal_3": (c["normal_3"] - 3) * 1.3 + 3},
    "spread times 0.75": lambda _, c: {"normal_4": (c["normal_4"] - 4) * 0.75 + 4},
    "two modes of the same mean and spread": lambda r, c: {
        "normal_0": r.choice([-0.9, 0.9], len(c["normal_0"])) + r.normal(0, 0.436, len(c["normal_0"]))
    },
    "skewed values times 1.2": lambda _, c: {"skewed_0": c["skewed_0"] * 1.2},
    "unit changed (times 1000) in 2 % of the rows": lambda r, c: {
        "skewed_1": np.where(r.random(len(c["skewed_1"])) < 0.02, c["skewed_1"] * 1000, c["skewed_1"])
    },
    "stuck sensor: 5 % of the rows have one value": lambda r, c: {"normal_5": _mixed(r, c["normal_5"], 0.05, 5.0)},
    "counts up by a tenth": lambda r, c: {"count_2": r.poisson(8.8, len(c["count_2"]))},
    "counts up by a quarter": lambda r, c: {"count_0": r.poisson(2.5, len(c["count_0"]))},
    "share skewed": lambda r, c: {"share_0": r.beta(2.3, 2, len(c["share_0"]))},
    "mostly zero: 10 % become 15 %": lambda r, c: {
        "rare_0": np.where(r.random(len(c["rare_0"])) < 0.15, r.exponential(1, len(c["rare_0"])), 0.0)
    },
    "mostly zero: the rest doubled": lambda _, c: {"rare_1": c["rare_1"] * 2},
    "2 % missing": lambda r, c: {"normal_1": _mixed(r, c["normal_1"], 0.02, np.nan)},
    "10 % missing": lambda r, c: {"skewed_2": _mixed(r, c["skewed_2"], 0.10, np.nan)},
    "a category from 5 % to 10 %": lambda r, c: {"site_0": _mixed(r, c["site_0"], 0.055, "depot")},
    "a rare category from 2 % to 5 %": lambda r, c: {"kind_1": _mixed(r, c["kind_1"], 0.03, "d")},
    "a new category in 2 % of the rows": lambda r, c: {"kind_0": _mixed(r, c["kind_0"], 0.02, "e")},
    "categories renamed in capitals": lambda _, c: {"site_1": np.char.upper(c["site_1"].astype(str)).astype(object)},
    "2 % missing in a category": lambda r, c: {"site_1": _mixed(r, c["site_1"], 0.02, None)},
    "all columns a little: means up by 0.15": lambda _, c: {
        name: c[name] + 0.15 * (1 + n / 4) for n, name in enumerate(f"normal_{n}" for n in range(6))
    },
}
"""A name and what is done to the columns of a window."""


def orders(first: str, last: str) -> Columns:
    """Work orders that began between two dates (`2003-01-01` up to but without the last)."""
    with ORDERS.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if first <= _date(row) < last]
    days = [float(row["RunningTime"]) if row["RunningTime"].isdigit() else np.nan for row in rows]
    cost = [float(row["Cost"]) if _is_number(row["Cost"]) else np.nan for row in rows]
    return {
        "text": np.array([row["OriginalShorttext"] for row in rows], dtype=object),
        "asset": np.array([row["Asset"] for row in rows], dtype=object),
        "place": np.array([row["FuncLocation"] for row in rows], dtype=object),
        "days_since": np.array(days),
        "cost": np.array(cost),
    }


def _date(row: Mapping[str, str]) -> str:
    return row["BscStartDate"]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def drawn(random: Random, columns: Columns, rows: int) -> Columns:
    """Rows of a table, without repetition."""
    places = random.permutation(len(next(iter(columns.values()))))[:rows]
    return {name: column[places] for name, column in columns.items()}
