"""Work orders to features: what was written becomes word counts, the planner's booking the label. Split by time.

The oldest 70 % of the orders are learnt from, the next 15 % test the model, the newest 15 % play the live orders that a
service meets later. Words, classes and weights come from the oldest part alone.
"""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from orders import read_orders
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

LEAST_ROWS = 35  # of a class in the oldest part; rarer bookings are OTHER
WORDS = 400


def main() -> None:
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    rows = read_orders(Path(os.environ["PLIMSOLL_INPUT_ORDERS"]))
    first, second = int(len(rows) * 0.70), int(len(rows) * 0.85)
    old, test, live = rows[:first], rows[first:second], rows[second:]

    counts = Counter(row["booked"] for row in old)
    classes = sorted(name for name, count in counts.items() if count >= LEAST_ROWS)
    classes.append("OTHER")
    number = {name: place for place, name in enumerate(classes)}
    for row in rows:
        row["label"] = number.get(row["booked"], number["OTHER"])

    words = TfidfVectorizer(max_features=WORDS, ngram_range=(1, 2), token_pattern=r"[a-z0-9#]+", sublinear_tf=True)
    words.fit(row["text"] for row in old)
    assets = sorted({row["asset"] for row in old})
    names = [f"word_{word.replace(' ', '_')}" for word in words.get_feature_names_out()]
    names += [f"asset_{asset}" for asset in assets] + ["days_since", "letters"]

    def features(part: list[dict]) -> np.ndarray:
        text = words.transform(row["text"] for row in part).toarray()
        asset = np.array([[row["asset"] == name for name in assets] for row in part])
        rest = np.array([[row["days_since"], len(row["text"])] for row in part])
        return np.hstack([text, asset, rest]).astype(np.float32)

    write(output / "train.parquet", names, features(old + test), {
        "label": [row["label"] for row in old + test],
        "part": ["train"] * len(old) + ["test"] * len(test),
    })
    write(output / "live.parquet", names, features(live), {"id": [row["id"] for row in live]})
    write_csv(output / "live.csv", names, features(live[:50]), [row["id"] for row in live[:50]])
    with (output / "live-labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "label"), *((row["id"], classes[row["label"]]) for row in live)])
    about = {"features": names, "classes": classes, "baselines": baselines(old, test)}
    (output / "about.json").write_text(json.dumps(about))
    print(f"{len(old)} orders to learn from, {len(test)} to test, {len(live)} live; {len(names)} features, "
          f"{len(classes)} classes; baselines {about['baselines']}")


def baselines(old: list[dict], test: list[dict]) -> dict[str, float]:
    """Accuracy on the test part of two things that need no cluster."""
    labels, truth = [row["label"] for row in old], np.array([row["label"] for row in test])
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(words.fit_transform(row["text"] for row in old), labels)
    predicted = model.predict(words.transform(row["text"] for row in test))
    majority = Counter(labels).most_common(1)[0][0]
    return {
        "majority": round(float((truth == majority).mean()), 4),
        "tfidf_logistic_regression": round(float((predicted == truth).mean()), 4),
    }


def write(path: Path, names: list[str], matrix: np.ndarray, further: dict[str, list]) -> None:
    columns = {name: matrix[:, place] for place, name in enumerate(names)}
    pq.write_table(pa.table({**further, **columns}), path)


def write_csv(path: Path, names: list[str], matrix: np.ndarray, ids: list[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *names])
        writer.writerows([name, *row] for name, row in zip(ids, matrix.astype(str), strict=True))


if __name__ == "__main__":
    main()
