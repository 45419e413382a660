"""What the traffic shows."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

# A gateway that keeps the weights misses this bound once in a million runs.
SIGNIFICANCE = 1e-6


def judge(record: Sequence[Observation]) -> Verdict:
    """Every measurement must fit; the weights by an exact binomial test."""
    backends = events(record, "backends")
    if not backends or not backends[0]["ready"]:
        return environment_error("the two backends did not start", "see the pods' events in the record")
    if not events(record, "gateway"):
        classes = ", ".join(backends[0]["classes"])
        return failed("", f"no gateway of class {classes} came up with an address", "look at the Gateway's conditions")
    measured = {each["case"]: each for each in events(record, "measured")}
    if set(measured) != {"weights-1", "weights-2", "header", "nowhere"}:
        return unknown("not every measurement was made")
    names = set(backends[0]["names"])
    for case in ("weights-1", "weights-2"):
        each = measured[case]
        counts, total = each["answers"], sum(each["answers"].values())
        if others := {answer: count for answer, count in counts.items() if answer not in names}:
            return failed(f"{case}: {others}", "requests were answered by something else", "see the gateway's logs")
        hits = counts.get(each["backend"], 0)
        if total == 0 or two_sided(hits, total, each["weight"] / 100) < SIGNIFICANCE:
            figure = f"weight {each['weight']}: {hits} of {total}"
            return failed(
                figure, "traffic does not follow the weights", "see whether the implementation supports weights"
            )
    header = measured["header"]
    if header["answers"] != {header["backend"]: sum(header["answers"].values())} or not header["answers"]:
        return failed(
            f"header: {header['answers']}", "a header does not lead to its backend", "see the route's conditions"
        )
    nowhere = measured["nowhere"]["answers"]
    if not nowhere or names & set(nowhere):
        return failed(f"nowhere: {nowhere}", "a route without a backend was answered by one", "the control failed")
    shares = [
        f"{each['answers'].get(each['backend'], 0)}/{sum(each['answers'].values())} at {each['weight']} %"
        for each in (measured["weights-1"], measured["weights-2"])
    ]
    return passed(f"{', '.join(shares)}; header {sum(header['answers'].values())} of {sum(header['answers'].values())}")


def two_sided(hits: int, total: int, share: float) -> float:
    """Probability, under a fair split, of a count at most as likely as this one (the exact binomial test)."""
    if not 0 < share < 1:
        return 1.0 if hits == round(total * share) else 0.0
    likelihoods = [comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]
    return sum(each for each in likelihoods if each <= likelihoods[hits] * (1 + 1e-9))
