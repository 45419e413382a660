"""Payments to features: what was known at the moment of each payment, and nothing that was known later.

Counts and means look back over 1, 7 and 30 days. Whether a payment was fraud is known a week after it: what the past
of a terminal says of its risk is a week old. The oldest payments are learnt from; after a gap of that week come those
that the model is tested on; the newest are scored in a batch.
"""

import csv
import json
import os
from collections import defaultdict, deque
from pathlib import Path

import numpy as np

DAY = 86_400
WINDOWS = (1, 7, 30)  # days
DELAY = 7  # days until it is known whether a payment was fraud
LEARN, TEST = 0.6, 0.95  # shares of the days
KEPT = ("id", "time", "card", "channel", "part", "fraud")


def main() -> None:
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    payments = read(Path(os.environ["PLIMSOLL_INPUT_ARRIVED"]) / "payments.csv")
    names, rows = features(payments)
    first, last = payments[0]["day"], payments[-1]["day"] + 1
    learnt, tested = (first + int((last - first) * share) for share in (LEARN, TEST))
    parts = [part_of(each["day"], learnt, tested) for each in payments]
    for name, wanted in (("train.csv", {"train"}), ("test.csv", {"test"}), ("live.csv", {"live"})):
        write(output / name, names, [
            (payment, row, part) for payment, row, part in zip(payments, rows, parts, strict=True) if part in wanted
        ])
    about = {"features": names, "classes": ["0", "1"], "days_of_test": tested - learnt - DELAY}
    (output / "about.json").write_text(json.dumps(about))
    for part in ("train", "test", "live"):
        some = [each["fraud"] for each, its in zip(payments, parts, strict=True) if its == part]
        print(f"{part}: {len(some)} payments, {sum(some)} of them fraud")


def read(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["seconds"] = int(np.datetime64(row["time"]).astype("datetime64[s]").astype(np.int64))
        row["day"] = row["seconds"] // DAY
        row["amount"], row["fraud"] = float(row["amount"]), int(row["fraud"])
    rows.sort(key=lambda row: (row["seconds"], row["id"]))
    return rows


def part_of(day: int, learnt: int, tested: int) -> str:
    if day < learnt:
        return "train"
    return "gap" if day < learnt + DELAY else "test" if day < tested else "live"


class Window:
    """Sum and number of values of the last so many seconds."""

    def __init__(self, seconds: int) -> None:
        self.seconds, self.values, self.total = seconds, deque(), 0.0

    def add(self, moment: int, value: float) -> None:
        self.values.append((moment, value))
        self.total += value

    def at(self, moment: int) -> tuple[int, float]:
        while self.values and self.values[0][0] <= moment - self.seconds:
            self.total -= self.values.popleft()[1]
        count = len(self.values)
        return count, self.total / count if count else 0.0


def features(payments: list[dict]) -> tuple[list[str], np.ndarray]:
    """A row for each payment, in the order of time."""
    names = ["amount", "online", "night", "weekend", "km_from_home", "seconds_since_last", "amount_to_usual"]
    for days in WINDOWS:
        of = ("card_payments", "card_mean_amount", "terminal_payments", "terminal_risk")
        names += [f"{name}_{days}d" for name in of]
    cards = defaultdict(lambda: [Window(days * DAY) for days in WINDOWS])
    terminals = defaultdict(lambda: [Window(days * DAY) for days in WINDOWS])
    known = defaultdict(lambda: [Window(days * DAY) for days in WINDOWS])
    last: dict[str, int] = {}
    waiting: deque = deque()  # payments of which it is not known yet whether they were fraud
    rows = np.zeros((len(payments), len(names)), dtype=np.float32)
    for place, each in enumerate(payments):
        now, card, terminal, amount = each["seconds"], each["card"], each["terminal"], each["amount"]
        while waiting and waiting[0]["seconds"] <= now - DELAY * DAY:
            old = waiting.popleft()
            for window in known[old["terminal"]]:
                window.add(old["seconds"] + DELAY * DAY, old["fraud"])
        of_card = [window.at(now) for window in cards[card]]
        usual = of_card[-1][1]
        hour, weekday = now % DAY // 3600, (now // DAY + 3) % 7  # 1970-01-01 was a Thursday
        row = [amount, each["channel"] == "online", hour < 6, weekday >= 5, float(each["km"] or 0)]
        row += [min(now - last.get(card, 0), 30 * DAY), amount / usual if usual else 1.0]
        for number, _ in enumerate(WINDOWS):
            row += [*of_card[number], terminals[terminal][number].at(now)[0], known[terminal][number].at(now)[1]]
        rows[place] = row
        for window in cards[card]:
            window.add(now, amount)
        for window in terminals[terminal]:
            window.add(now, 1.0)
        last[card] = now
        waiting.append(each)
    return names, rows


def write(path: Path, names: list[str], rows: list[tuple]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*KEPT, *names])
        for payment, row, part in rows:
            kept = {**payment, "part": part}
            writer.writerow([*(kept[name] for name in KEPT), *(f"{value:.7g}" for value in row)])


if __name__ == "__main__":
    main()
