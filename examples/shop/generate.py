"""Make a shop: what it sells, and what its visitors looked at and bought. The same seed gives the same bytes.

Each product lies somewhere on seven axes, such as light or sturdy, and each visitor likes some place on them. Six axes
are behind the texts: a text has phrases for the three on which a product is farthest out, in one of several wordings.
The seventh, what is in fashion, no text speaks of. A visitor looks at products of an errand and buys the last one; each
is drawn by how near it is to what the visitor likes, by how well known it is, and by chance. Axes and likings are
written nowhere: a recommender has texts and visits alone.

A tenth of the products is new: it is on sale only after the days that a recommender learns from.
"""

import csv
import json
import math
import os
import random
import sys
from pathlib import Path

import words

SEED = 11
PRODUCTS, VISITORS, VISITS = 600, 900, 4000
DAYS, LEARNT, CHOSEN = 100, 80, 85  # days 0–79 are learnt from, settings are chosen on 80–84, 85–99 are judged
KINDS_OF_VISITORS = 8
NEW = 0.1  # share of the products
LIKING, FAME = 1.0, 0.7  # how much a draw follows what a visitor likes, and how well known a product is
LIKED = [*words.AXES, words.UNSAID]
ASKED = 40  # products that judged questions are about
ELSEWHERE = [
    "Which visa do I need for Japan?", "How do I bake sourdough bread?", "Who won the football cup in 1990?",
    "What is the boiling point of ethanol?", "How do I reset my router?", "Which train goes to Vienna at night?",
    "When was the printing press invented?", "How many moons does Saturn have?", "Who painted the Night Watch?",
    "How do I file a tax return?",
]


def main() -> None:
    if sys.argv[1:] == ["--questions"]:
        sys.stdout.writelines(json.dumps(each) + "\n" for each in questions(SEED))
        return
    products, visits = shop(SEED)
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    write(output / "catalogue.csv", ["id", "title", "text", "kind", "maker", "price", "from_day"], products)
    write(output / "visits.csv", ["visit", "day", "place", "product"], visits)
    print(f"{len(products)} products, {sum(each['place'] == 0 for each in visits)} visits, seed {SEED}")


def shop(seed: int) -> tuple[list[dict], list[dict]]:
    """The catalogue, and the visits as rows: one for each product that was looked at, the last one bought."""
    made = catalogue(seed)
    return [facts for facts, _, _ in made], behaviour(random.Random(seed + 1), made)


def catalogue(seed: int) -> list[tuple[dict, dict, float]]:
    """Each product with where it lies on the axes, and how well known it is. Each maker has a style of its own."""
    draw = random.Random(seed)
    houses = {maker: {axis: draw.gauss(0, 0.7) for axis in LIKED} for maker in words.MAKERS}
    return [product(draw, number, houses) for number in range(PRODUCTS)]


def product(draw: random.Random, number: int, houses: dict) -> tuple[dict, dict, float]:
    """A product as the catalogue has it, with what the catalogue does not have."""
    kind = draw.choice(list(words.KINDS))
    maker = draw.choice(words.MAKERS)
    lies = {axis: mean + draw.gauss(0, 0.9) for axis, mean in houses[maker].items()}
    said = sorted(words.AXES, key=lambda axis: -abs(lies[axis]))[:3]
    draw.shuffle(said)
    first, second, third = (draw.choice(words.AXES[axis][lies[axis] > 0]) for axis in said)
    material = draw.choice(words.KINDS[kind])
    price = draw.randrange(19, 400)
    grams, years = draw.randrange(80, 3000, 10), draw.randrange(1, 11)
    model = f"{draw.choice(words.MODELS)} {number}"
    verb, plural = ("are", "They") if kind in {"gloves", "hiking boots", "trekking trousers"} else ("is", "It")
    text = (
        f"The {maker} {model} {kind} {verb} {first}, {second} and {third}. "
        f"{plural} {verb} made of {material}. "
        f"The price is {price} euros, the weight {grams} grams, and the guarantee {years} years."
    )
    facts = {
        "id": f"p{number:03d}", "title": f"{maker} {model} {kind}", "text": text, "kind": kind, "maker": maker,
        "price": price, "from_day": LEARNT if draw.random() < NEW else 0,
        "material": material, "grams": grams, "years": years,
    }
    return facts, lies, draw.gauss(0, 1)


def behaviour(draw: random.Random, made: list) -> list[dict]:
    """Visits by day: each visitor has something of one of a few kinds of visitors, and something of their own."""
    kinds = [{axis: draw.gauss(0, 1) for axis in LIKED} for _ in range(KINDS_OF_VISITORS)]
    visitors = [
        {axis: kind[axis] + draw.gauss(0, 0.5) for axis in LIKED} for kind in draw.choices(kinds, k=VISITORS)
    ]
    rows = []
    for visit in range(VISITS):
        day = visit * DAYS // VISITS
        likes, errand = draw.choice(visitors), draw.choice(words.ERRANDS)
        on_sale = [
            (facts["id"], weight(lies, likes, fame))
            for facts, lies, fame in made
            if facts["from_day"] <= day and facts["kind"] in errand
        ]
        for place in range(draw.randrange(4, 8)):
            names, weights = zip(*on_sale, strict=True)
            seen = draw.choices(names, weights)[0]
            rows.append({"visit": visit, "day": day, "place": place, "product": seen})
            on_sale = [each for each in on_sale if each[0] != seen]
    return rows


def weight(lies: dict, likes: dict, fame: float) -> float:
    """How probable it is that somebody looks at a product."""
    return math.exp(LIKING * sum(lies[axis] * likes[axis] for axis in likes) + FAME * fame)


def questions(seed: int) -> list[dict]:
    """Judged questions on the facts of some products, and some that no catalogue answers."""
    asked = []
    sample = random.Random(seed + 2).sample(catalogue(seed), ASKED)
    for number, (each, _, _) in enumerate(sample):
        question, fact = [
            (f"How much does the {each['title']} cost?", str(each["price"])),
            (f"What is the {each['title']} made of?", each["material"]),
            (f"How heavy is the {each['title']}?", str(each["grams"])),
            (f"How many years of guarantee come with the {each['title']}?", str(each["years"])),
        ][number % 4]
        asked.append({"question": question, "documents": [each["id"]], "facts": [fact]})
    return asked + [{"question": question, "unanswerable": True} for question in ELSEWHERE]


def write(path: Path, names: list[str], rows: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
