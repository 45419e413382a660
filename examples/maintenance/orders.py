"""Work orders as they were written, booked and tagged, oldest first. Only what comes with Python."""

import csv
import re
from pathlib import Path

TAGS = {"cause": "FM", "remedy": "Action"}  # what NIST's rules have found in the text of an order
NOTHING = {"", "NA", "Unspecified"}  # tags that say nothing
ALIKE = 0.8  # of the words of two orders, the share that both have


def read_orders(path: Path) -> list[dict]:
    """Orders by start, with the text in one spelling."""
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for place, row in enumerate(csv.DictReader(file)):
            if not row["FuncLocation"] or row["FuncLocation"] == "NA":
                continue
            text = re.sub(r"\b([lr])/h\b", r"\1h", row["OriginalShorttext"].lower())
            days = float(row["RunningTime"]) if row["RunningTime"].isdigit() else -1.0
            rows.append({
                "id": f"order-{place:05d}", "date": row["BscStartDate"], "asset": row["Asset"], "text": text,
                "days_since": days, "booked": row["FuncLocation"].strip().upper(),
                "written": row["OriginalShorttext"].strip(), "cost": row["Cost"],
                **{name: tags(row[column]) for name, column in TAGS.items()},
            })
    rows.sort(key=lambda row: (row["date"], row["id"]))
    return rows


def tags(cell: str) -> str:
    """Tags that say something, with commas between them."""
    return ", ".join(tag for tag in cell.split("_") if tag not in NOTHING)


def oldest(rows: list[dict], share: float) -> list[dict]:
    """The oldest orders, to the end of their last day: no day is among them and after them."""
    last = rows[max(1, int(len(rows) * share)) - 1]["date"]
    return [row for row in rows if row["date"] <= last]


def mark_again(rows: list[dict], older: list[dict]) -> None:
    """Set `again` to 1 for rows that have nearly the words of an older one, else to 0."""
    before = [words_of(row["text"]) for row in older]
    for row in rows:
        own = words_of(row["text"])
        row["again"] = int(any(alike(own, other) >= ALIKE for other in before))


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9#]+", text.lower()))


def alike(one: set[str], other: set[str]) -> float:
    """The share of the words of both that each has."""
    return len(one & other) / len(one | other) if one | other else 1.0
