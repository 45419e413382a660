"""What to show a visitor next: python recommend.py p014 p233 names products that the visitor has looked at.

The search finds products whose texts mean about the same. The language model reads the texts and writes what product
comes next, which is searched for as well. It describes what is shown, too; where its sentence says more than the text
of the product, the text itself is shown. Names and prices are those of the catalogue.
"""

import argparse
import csv
import sys
from pathlib import Path

import service
from ranking import added, best, mixed

SHOP = Path(__file__).parent / ".plimsoll" / "latest" / "run" / "shop"
NEAR = 100  # products that one search gives
SHOWN = 4  # products of a visit that the language model reads, the last ones
TOKENS = 60  # of what it writes


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("products", nargs="+", help="ids of products that were looked at, such as p014")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--url", default=service.URL)
    given = parser.parse_args()
    catalogue = read_catalogue()
    if unknown := [each for each in given.products if each not in catalogue]:
        sys.exit(f"no product {', '.join(unknown)}; the catalogue has {min(catalogue)} to {max(catalogue)}")
    shop = Recommender(catalogue, given.url)
    scores = mixed(shop.retrieved(given.products), shop.imagined(given.products), 0.5)
    for name in best(scores, given.products, given.top):
        product = catalogue[name]
        print(f"{name}  {product['title']}, {product['price']} euros")
        print(f"      {service.reason(product['title'], name, product['text'], given.url)}")


def read_catalogue():
    """The products by their id."""
    try:
        with (SHOP / "catalogue.csv").open(encoding="utf-8") as file:
            return {row["id"]: row for row in csv.DictReader(file)}
    except OSError:
        sys.exit(f"{SHOP} has no catalogue. Make it with: plimsoll up")


class Recommender:
    """Scores of products for the products of a visit. Searches are kept, so that each text is searched for once."""

    def __init__(self, catalogue, url=service.URL):
        self.catalogue, self.url, self.kept, self.written = catalogue, url, {}, {}

    def retrieved(self, seen):
        """By retrieval alone: the sum of how near a product is to each that was looked at."""
        return added(self.near(self.catalogue[name]["text"]) for name in seen)

    def imagined(self, seen):
        """By the language model: how near a product is to the one that it writes."""
        if (visit := tuple(seen[-SHOWN:])) not in self.written:
            self.written[visit] = self.continuation(visit)
        return self.near(self.written[visit])

    def continuation(self, seen):
        """The text of a product that the language model takes to come next."""
        texts = [self.catalogue[name]["text"].partition(" The price ")[0] for name in seen]
        prompt = "A visitor of a shop looks at these products:\n" + "".join(f"- {text}\n" for text in texts)
        prompt += "Describe in one sentence the product that the visitor wants, with the words of these descriptions."
        return service.write(prompt, TOKENS, ["\n"], self.url) or texts[-1]

    def near(self, text):
        if text not in self.kept:
            self.kept[text] = service.search(text, NEAR, self.url)
        return self.kept[text]


if __name__ == "__main__":
    main()
