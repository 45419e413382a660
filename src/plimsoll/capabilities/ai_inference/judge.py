"""The verdict from traffic through a gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb

from plimsoll.capabilities.ai_inference.records import Backends, Streamed, TrafficMeasured
from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.records import Recorded
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

# A gateway that keeps the weights misses this bound once in a million runs.
SIGNIFICANCE = 1e-6
CASES = ("weights-1", "weights-2", "header", "nowhere")
# Pieces that arrive within this share of the time over which they were sent were held back.
_SPREAD = 0.5


def judge(record: Recorded) -> Verdict:
    """Every measurement has to fit; the weights by an exact binomial test."""
    backends = record.first(Backends)
    if backends is None or not backends.ready:
        return environment_error("the two backends did not start", "see the pods' events in the record")
    if not record.all(GatewayReady):
        classes = ", ".join(backends.classes)
        return failed("", f"no gateway of class {classes} has an address", "see the conditions of the Gateway")
    measured = {each.case: each for each in record.all(TrafficMeasured)}
    names = set(backends.names)
    # Where no request gets through, nothing further is measured.
    for case in ("weights-1", "weights-2"):
        if case in measured and (problem := _weighted(measured[case], names)):
            return problem
    if set(measured) != set(CASES):
        return unknown("not every measurement was made")
    header = measured["header"]
    if header.answers != {header.backend: sum(header.answers.values())} or not header.answers:
        return failed(
            f"header: {header.answers}", "the header does not lead to its backend", "see the conditions of the route"
        )
    if problem := _arrived(header, names):
        return problem
    nowhere = measured["nowhere"].answers
    if not nowhere or names & set(nowhere):
        return failed(f"nowhere: {nowhere}", "a backend answers on a route that has no backend", "the control failed")
    streams = {each.way: each.arrivals for each in record.all(Streamed)}
    if problem := _streamed(streams):
        return problem
    shares = [
        f"{each.answers.get(each.backend, 0)}/{sum(each.answers.values())} at {each.weight} %"
        for each in (measured["weights-1"], measured["weights-2"])
    ]
    count = sum(header.answers.values())
    return passed(f"{', '.join(shares)}; header {count} of {count}; {len(streams['gateway'])} pieces one by one")


def _weighted(measured: TrafficMeasured, names: set[str]) -> Verdict | None:
    counts, total = measured.answers, sum(measured.answers.values())
    if not names & set(counts):
        return failed(
            f"{measured.case}: {counts or 'no answer'}", "no request reached a backend", "see the gateway's logs"
        )
    if others := {answer: count for answer, count in counts.items() if answer not in names}:
        return failed(f"{measured.case}: {others}", "something else answers the requests", "see the gateway's logs")
    hits = counts.get(measured.backend, 0)
    if two_sided(hits, total, measured.weight / 100) < SIGNIFICANCE:
        figure = f"weight {measured.weight}: {hits} of {total}"
        return failed(figure, "traffic does not follow the weights", "check that the implementation supports weights")
    return _arrived(measured, names)


def _arrived(measured: TrafficMeasured, names: set[str]) -> Verdict | None:
    """The backends have to count every request that a client saw answered."""
    answered = {name: measured.answers.get(name, 0) for name in names}
    arrived = {name: measured.arrived.get(name, 0) for name in names}
    if any(arrived[name] < answered[name] for name in names):
        return failed(
            f"{measured.case}: {sum(answered.values())} answers, {sum(arrived.values())} requests at the backends",
            "something else answers requests in the names of the backends",
            "see which servers are behind the gateway's address",
        )
    return None


def _streamed(streams: Mapping[str, Sequence[float]]) -> Verdict | None:
    direct, through = streams.get("direct", ()), streams.get("gateway", ())
    if len(direct) < 2:
        return unknown("the control failed: the backend itself did not answer in pieces")
    sent = direct[-1] - direct[0]
    if not through:
        return failed("stream: nothing", "an answer in pieces does not pass the gateway", "see the gateway's logs")
    took = through[-1] - through[0]
    if len(through) < len(direct) or took < _SPREAD * sent:
        return failed(
            f"stream: {len(through)} of {len(direct)} pieces within {took:.1f} s, sent over {sent:.1f} s",
            "the gateway holds back an answer until it is complete",
            "disable buffering of responses",
        )
    return None


def two_sided(hits: int, total: int, share: float) -> float:
    """Probability, under a fair split, of a count at most as likely as this one (the exact binomial test)."""
    if not 0 < share < 1:
        return 1.0 if hits == round(total * share) else 0.0
    likelihoods = [comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]
    return sum(each for each in likelihoods if each <= likelihoods[hits] * (1 + 1e-9))
