"""Hold the logbook against what planners then booked, beside the classifiers. The service of the logbook is up.

The past orders that are most like an order vote for its class. How many vote, and how much more the nearer ones count,
is chosen by the newest tenth of the old orders, with votes from before all of them. A hit of the first judged day or
later would know the answer: then there are no figures.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from pathlib import Path

from similar import URL, search
from voting import before, choose, classed, joint, right, several, tagged, vote

STEPS = Path(__file__).parent / ".plimsoll" / "latest"
TOP = 100  # past orders that are fetched for each order
MODES = {"lexical": "words (BM25)", "dense": "vectors", "hybrid": "words and vectors"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", default=URL)
    parser.add_argument("--output", type=Path, help="a file for the figures as JSON")
    given = parser.parse_args()
    orders, past = read("run/judged/orders.csv"), read("run/history/logbook.csv")
    choosing, test = ([row for row in orders if row["part"] == part] for part in ("choosing", "test"))
    require_older([row["date"] for row in past], test[0]["date"])
    linear = probable("run/judged/linear.csv", "", test)
    says = classed(set(linear[0]))

    counts = Counter(value for row in past for value in says({"metadata": row}))
    ranks = {"always the most frequent classes": [dict(counts)] * len(test)}
    for mode, words in MODES.items():
        old = [before(search(row["written"], TOP, mode, given.url), choosing[0]["date"]) for row in choosing]
        nearest, power = choose(old, [row["class"] for row in choosing], says)
        hits = [search(row["written"], TOP, mode, given.url) for row in test]
        require_older([hit["metadata"]["date"] for each in hits for hit in each], test[0]["date"])
        print(f"{words}: {nearest} past orders vote, with the power {power}", file=sys.stderr)
        votes = ranks[f"retrieval by {words}"] = [vote(each, nearest, power, says) for each in hits]
    ranks["XGBoost on two workers"] = probable("score/tested/predictions.csv", "probabilities_", test)
    ranks["TF-IDF and logistic regression"] = linear
    ranks["retrieval by words and vectors, and logistic regression"] = [
        joint(*each) for each in zip(votes, linear, strict=True)
    ]
    figures = {"orders": len(test), "class": {name: of_classes(each, test) for name, each in ranks.items()}}
    show("class", figures["class"])
    for name in ("cause", "remedy"):
        often = Counter(value for row in past for value in several(row[name]))
        both = {"always the most frequent ones": [dict(often)] * len(test)}
        both["retrieval by words and vectors"] = [vote(each, nearest, power, tagged(name)) for each in hits]
        figures[name] = {each: of_tags(shares, test, name) for each, shares in both.items()}
        show(name, figures[name])
    if given.output:
        given.output.write_text(json.dumps(figures, indent=1) + "\n")


def read(name: str) -> list[dict]:
    try:
        with (STEPS / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError:
        sys.exit(f"{STEPS / name} is not there. Make it with: plimsoll run -f logbook.yaml")


def require_older(days: list[str], first: str) -> None:
    """End where the logbook has orders that are to be judged."""
    if max(days, default="") >= first:
        sys.exit(
            f"the logbook has orders until {max(days)}, and those from {first} on are judged: it knows the answers. "
            "Build it without --set share"
        )


def probable(name: str, prefix: str, orders: list[dict]) -> list[dict[str, float]]:
    """How probable a classifier takes each class to be, for each order."""
    by_id = {
        row["id"]: {
            column.removeprefix(prefix): float(value)
            for column, value in row.items()
            if column.startswith(prefix) and column not in {"id", "label"}
        }
        for row in read(name)
    }
    return [by_id[row["id"]] for row in orders]


def of_classes(shares: list[dict[str, float]], orders: list[dict]) -> dict[str, float]:
    """The class among the first one and three; the same for orders whose words no older order has."""
    new = [place for place, row in enumerate(orders) if row["again"] == "0"]
    truth = [[row["class"]] for row in orders]
    few, true = [shares[place] for place in new], [truth[place] for place in new]
    return {
        "orders": len(orders), "top-1": right(shares, truth, 1), "top-3": right(shares, truth, 3),
        "new orders": len(new), "new, top-1": right(few, true, 1), "new, top-3": right(few, true, 3),
    }


def of_tags(shares: list[dict[str, float]], orders: list[dict], name: str) -> dict[str, float]:
    """The same for a tag of cause or remedy, of the orders that have one."""
    with_one = [place for place, row in enumerate(orders) if row[name]]
    truth = [several(orders[place][name]) for place in with_one]
    few = [shares[place] for place in with_one]
    return {"orders": len(truth), "top-1": right(few, truth, 1), "top-3": right(few, truth, 3)}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """A table in Markdown; a whole number is a number of orders."""
    columns = list(next(iter(rows.values())))
    print(f"| {title} | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for name, row in rows.items():
        told = (str(value) if isinstance(value, int) else f"{value:.3f}" for value in row.values())
        print(f"| {name} | " + " | ".join(told) + " |")
    print(flush=True)


if __name__ == "__main__":
    main()
