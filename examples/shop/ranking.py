"""Ways to rank products for a visitor, and what a ranking is worth. Pure: texts, visits and scores in, scores out."""

import math
import random
from collections import Counter, defaultdict


def popularity(visits):
    """How often each product was looked at."""
    return dict(Counter(product for visit in visits for product in visit))


def together(visits):
    """For each product, those that are looked at in the same visits, as the cosine of their visits."""
    often, both = popularity(visits), defaultdict(Counter)
    for visit in visits:
        for one in visit:
            both[one].update(other for other in visit if other != one)
    return {
        one: {other: count / math.sqrt(often[one] * often[other]) for other, count in counts.items()}
        for one, counts in both.items()
    }


def added(scores):
    """One score for each product: the sum of what it has in each of `scores`."""
    total = Counter()
    for each in scores:
        total.update(each)
    return dict(total)


def mixed(one, other, weight):
    """Two scores on one scale, from 0 to 1 each; `weight` is that of the second."""
    return added([_scaled(one, 1 - weight), _scaled(other, weight)])


def _scaled(scores, weight):
    most = max(scores.values(), default=0) or 1
    return {name: weight * score / most for name, score in scores.items()}


def best(scores, seen, count=10):
    """The products with the highest scores that were not looked at already; equal ones by their id."""
    return [name for name in sorted(scores, key=lambda name: (-scores[name], name)) if name not in seen][:count]


def recall(ranked, bought):
    """1 when the product that was bought is among those that were shown."""
    return float(bought in ranked)


def ndcg(ranked, bought):
    """1 for the first place, less for each later one, 0 when it was not shown."""
    return 1 / math.log2(ranked.index(bought) + 2) if bought in ranked else 0.0


def interval(values, draws=1000):
    """The mean of the values, and where it is in 95 of 100 samples that are drawn of them."""
    draw = random.Random(0)
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values) for _ in range(draws))
    return sum(values) / len(values), means[draws * 25 // 1000], means[draws * 975 // 1000 - 1]
