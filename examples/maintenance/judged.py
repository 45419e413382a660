"""The orders that the logbook is judged by, with what a linear classifier says of each, and the classifier's features.

They are those that the classifier is tested with. Two things would make figures too good, and are told apart here:

- An order of the weeks after the split may be the same job once more, which was split between two orders or booked
  again. Orders of the first 30 days are in no figure.
- Mechanics write the same words for years. An order of which an older one has nearly all words is marked `again`.
"""

import csv
import json
import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from orders import TAGS, mark_again, read_orders
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

OLD, TEST = 0.70, 0.85  # as in prepare.py
CHOOSING = 0.9  # of the old orders: settings are chosen by the newest tenth
GAP = timedelta(days=30)


def main() -> None:
    orders = Path(os.environ["PLIMSOLL_INPUT_ORDERS"])
    features = Path(os.environ["PLIMSOLL_INPUT_FEATURES"])
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    about = json.loads((features / "about.json").read_text())
    rows = read_orders(orders)
    known = set(about["classes"])
    for row in rows:
        row["class"] = row["booked"] if row["booked"] in known else "OTHER"
    first, second, chosen = int(len(rows) * OLD), int(len(rows) * TEST), int(int(len(rows) * OLD) * CHOOSING)
    old, test = rows[:first], rows[first:second]
    begins = date.fromisoformat(old[-1]["date"]) + GAP
    for row in test:
        row["part"] = "test" if date.fromisoformat(row["date"]) > begins else "gap"
    for row in rows[chosen:first]:
        row["part"] = "choosing"
    mark_again(rows[chosen:first], rows[:chosen])
    mark_again(test, old)
    columns = ["id", "date", "part", "asset", "written", "class", "again", *TAGS]
    write(output / "orders.csv", columns, [[row[name] for name in columns] for row in rows[chosen:second]])
    names, probable = linear(old, test)
    write(output / "linear.csv", ["id", *names],
          [[row["id"], *np.round(each, 6)] for row, each in zip(test, probable, strict=True)])
    tested = pq.read_table(features / "train.parquet").filter(pc.field("part") == "test").select(about["features"])
    values = zip(*(tested[name].to_pylist() for name in about["features"]), strict=True)
    write(output / "tested.csv", ["id", *about["features"]],
          [[row["id"], *each] for row, each in zip(test, values, strict=True)])
    judged = [row for row in test if row["part"] == "test"]
    print(f"{len(judged)} of {len(test)} orders are judged, from {judged[0]['date']} on; "
          f"{sum(row['again'] for row in judged)} of them have nearly the words of an older one")


def linear(old: list[dict], test: list[dict]) -> tuple[list[str], np.ndarray]:
    """The baseline of prepare.py, with how probable each class is."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(words.fit_transform(row["text"] for row in old), [row["class"] for row in old])
    return list(model.classes_), model.predict_proba(words.transform(row["text"] for row in test))


def write(path: Path, names: list[str], rows: list) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
