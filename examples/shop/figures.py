"""Hold the ways to recommend against what visitors then bought. The service of the shop is up.

Popularity and what is looked at together come from days 0 to 79, a weight from days 80 to 84. Days 85 to 99 are judged:
of each visit the last product, which was bought, is to be found from those that were looked at before it.
"""

import argparse
import csv
import json
import sys
from itertools import groupby
from pathlib import Path

import service
from generate import CHOSEN, LEARNT
from ranking import added, best, interval, mixed, ndcg, popularity, recall, together
from recommend import SHOP, Recommender, read_catalogue

WEIGHTS = [0, 0.1, 0.2, 0.3, 0.5, 0.7]  # of retrieval beside what is looked at together


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--visits", type=int, default=600, help="visits that are judged")
    parser.add_argument("--written", type=int, default=100, help="of these, visits that the language model reads")
    parser.add_argument("--url", default=service.URL)
    parser.add_argument("--output", type=Path, help="a file for the figures as JSON")
    given = parser.parse_args()
    visits = read_visits()
    learnt = [products for day, products in visits if day < LEARNT]
    choosing = [products for day, products in visits if LEARNT <= day < CHOSEN]
    judged = [products for day, products in visits if day >= CHOSEN][: given.visits]
    often, beside = popularity(learnt), together(learnt)
    shop = Recommender(read_catalogue(), given.url)

    def popular(seen):
        return often

    def joint(seen):
        return added(beside.get(name, {}) for name in seen)

    def both(weight):
        return lambda seen: mixed(joint(seen), shop.retrieved(seen), weight)

    weight = max(WEIGHTS, key=lambda each: worth(both(each), choosing)["recall@10"][0])
    figures = {
        "all": {
            "popularity": worth(popular, judged),
            "retrieval alone": worth(shop.retrieved, judged),
            "looked at together": worth(joint, judged),
            f"looked at together, with retrieval at {weight:g}": worth(both(weight), judged),
        }
    }
    show(f"{len(judged)} visits", figures["all"])
    known = {product for products in learnt for product in products}
    if new := [products for products in judged if products[-1] not in known]:
        figures["new"] = {
            "popularity": worth(popular, new),
            "retrieval alone": worth(shop.retrieved, new),
            "looked at together": worth(joint, new),
        }
        show(f"{len(new)} of them, in which a new product was bought", figures["new"])
    if few := judged[: given.written]:
        figures["written"] = {
            "popularity": worth(popular, few),
            "retrieval alone": worth(shop.retrieved, few),
            "language model alone": worth(shop.imagined, few),
            "retrieval and language model": worth(
                lambda seen: mixed(shop.retrieved(seen), shop.imagined(seen), 0.5), few
            ),
        }
        show(f"the first {len(few)} of them", figures["written"])
    if given.output:
        given.output.write_text(json.dumps(figures, indent=1) + "\n")


def worth(way, visits):
    """Each figure of a way to score products, with its interval of 95 %."""
    ranked = [(best(way(visit[:-1]), visit[:-1]), visit[-1]) for visit in visits]
    return {
        "recall@10": interval([recall(names, bought) for names, bought in ranked]),
        "ndcg@10": interval([ndcg(names, bought) for names, bought in ranked]),
    }


def show(title, figures):
    """A table in Markdown."""
    print(f"| {title} | recall@10 | nDCG@10 |\n|---|---|---|")
    for name, row in figures.items():
        told = (f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in row.values())
        print(f"| {name} | {' | '.join(told)} |")
    print(flush=True)


def read_visits():
    """Each visit with its day and its products, the last of them bought."""
    try:
        with (SHOP / "visits.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        sys.exit(f"{SHOP} has no visits. Make them with: plimsoll up")
    visits = [list(group) for _, group in groupby(rows, key=lambda row: row["visit"])]
    return [(int(visit[0]["day"]), [row["product"] for row in visit]) for visit in visits]


if __name__ == "__main__":
    main()
