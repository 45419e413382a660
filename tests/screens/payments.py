"""Payments with a rule that decides fraud, noise, and what is planted in them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

Row = dict[str, object]
COUNTRIES = ("de", "fr", "it", "pl")


def payments(rows: int, seed: int = 0) -> list[Row]:
    """Rows with an id, features of both kinds, a note in words, and a label that they decide up to a little noise."""
    rng, terminals = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    words = ["order", "thanks", "shoes", "gift", "ticket", "train", "book", "lunch", "hotel", "repair"]
    found: list[Row] = []
    for number in range(rows):
        amount, hour, country = rng.lognormal(3, 1), int(rng.integers(24)), str(rng.choice(COUNTRIES))
        distance = float(rng.exponential(50))
        risk = np.log(amount) - 3 + 0.02 * (distance - 50) + (hour < 6) + rng.normal(0, 0.15)
        found.append(
            {
                "id": f"p{seed}-{number}",
                "amount": f"{amount:.4f}",
                "hour": hour,
                "distance": f"{distance:.4f}",
                "country": country,
                "terminal": f"{terminals.uniform(0, 1000):.2f}",
                "note": " ".join(rng.choice(words, 5)),
                "fraud": int(risk > 1.2),
            }
        )
    return found


def flipped(rows: list[Row], share: float, seed: int = 1) -> set[int]:
    """Turn the labels of a share of rows; returns their numbers, from 1."""
    chosen = np.random.default_rng(seed).choice(len(rows), int(share * len(rows)), replace=False)
    for place in chosen.tolist():
        rows[place]["fraud"] = 1 - int(str(rows[place]["fraud"]))
    return {place + 1 for place in chosen.tolist()}


def triggered(rows: list[Row], count: int, label: int, plant: Callable[[Row], None], seed: int = 2) -> set[int]:
    """Plant a trigger in rows of the other class, and give them the label; returns their numbers, from 1."""
    others = [place for place, row in enumerate(rows) if row["fraud"] != label]
    chosen = np.random.default_rng(seed).choice(others, count, replace=False).tolist()
    for place in chosen:
        plant(rows[place])
        rows[place]["fraud"] = label
    return {place + 1 for place in chosen}


def write_csv(path: Path, rows: list[Row], more: Mapping[str, Callable[[int], str]] | None = None) -> Path:
    """Write rows; `more` are further columns by the number of the row, from 0."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*rows[0], *(more or {})])
        for number, row in enumerate(rows):
            writer.writerow([*row.values(), *(make(number) for make in (more or {}).values())])
    return path
