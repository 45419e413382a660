"""What past orders say of a new one, and what that is worth. Pure: hits and orders in, shares and figures out.

A hit has a `score`, a `text` and `metadata`, as the search gives it. Shares are numbers by value that add up to 1.
"""

from collections import Counter

NEAREST = (1, 3, 5, 10, 20, 40, 60)  # how many may vote
POWERS = (0, 1, 4, 8, 16, 32)  # how much more the nearer ones may count


def vote(hits: list[dict], nearest: int, power: float, says) -> dict[str, float]:
    """What `says` finds in the nearest hits, by the share of the votes; a vote counts its score to the power."""
    most = max((hit["score"] for hit in hits[:nearest]), default=0.0)
    total: Counter[str] = Counter()
    for hit in hits[:nearest]:
        for value in says(hit):
            total[value] += (max(hit["score"], 0.0) / most) ** power if most > 0 else 1.0
    whole = sum(total.values()) or 1.0
    return {value: count / whole for value, count in total.items()}


def ranked(shares: dict[str, float]) -> list[str]:
    """The values with the largest share first; equal ones in their order in the alphabet."""
    return sorted(shares, key=lambda value: (-shares[value], value))


def tagged(name: str):
    """What a hit says of cause or remedy: several things, or nothing."""
    return lambda hit: several(hit["metadata"][name])


def booked(hit: dict) -> list[str]:
    """Where a past order was booked."""
    return [hit["metadata"]["booked"]]


def classed(classes: set[str]):
    """The class of a hit: where it was booked, or OTHER."""
    return lambda hit: [value if value in classes else "OTHER" for value in booked(hit)]


def several(text: str) -> list[str]:
    return [each for each in text.split(", ") if each]


def before(hits: list[dict], day: str) -> list[dict]:
    """The hits of orders that are older than a day."""
    return [hit for hit in hits if hit["metadata"]["date"] < day]


def choose(found: list[list[dict]], truth: list[str], says) -> tuple[int, float]:
    """How many vote and with which power, so that the most orders get their class."""
    return max(
        ((nearest, power) for nearest in NEAREST for power in POWERS),
        key=lambda each: right([vote(hits, *each, says) for hits in found], [[value] for value in truth], 1),
    )


def right(shares: list[dict[str, float]], truth: list[list[str]], top: int) -> float:
    """The share of orders of which a true value is among the first ones."""
    good = sum(bool(set(ranked(each)[:top]) & set(true)) for each, true in zip(shares, truth, strict=True))
    return good / len(truth) if truth else 0.0


def joint(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The mean of two."""
    return {value: (one.get(value, 0.0) + other.get(value, 0.0)) / 2 for value in one.keys() | other.keys()}
