"""Judges from the counts of two versions whether the new one is worse than the one in service. Pure.

Requests are assigned to versions at random, so a difference beyond chance is caused by the version. Each question is
one test against "no worse". All looks at the question share the significance level `LEVEL` (Bonferroni). A result that
is not significant means "no worse as far as observed"; `least` is the number of requests that makes it count.
Sources: Fisher's exact test; Mann and Whitney (1947) with the correction for ties, as latencies come in buckets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.registry.comparison import other_data
from plimsoll.telemetry.version_counts import VersionCounts

LEVEL = 0.01
"""The chance to roll back a good version, for each question and over a whole promotion."""
GONE = "499"
"""The code of a request whose client left before the answer: it says nothing about the version."""
LEAST_EFFECT = 0.56
"""How often the new version must be the slower of two to count as worse: a small effect by Cohen.

With many requests, a difference too small to notice becomes significant; this bound excludes it.
"""


class VersionSample(Struct, frozen=True, kw_only=True):
    """The requests that one version answered between two looks.

    `failures` counts answers other than 200; a request whose client left counts in neither. `latencies` are counts by
    bucket, in ascending order. `labelled` counts predictions whose label has arrived, `right` the correct ones among
    them. `metrics` are the figures from training, `data` the digests of what they were measured on, by name.
    """

    requests: int
    failures: int
    latencies: Sequence[int]
    right: int = 0
    labelled: int = 0
    metrics: Mapping[str, float] = {}
    data: Mapping[str, str] = {}


def version_sample(
    now: VersionCounts, before: VersionCounts, metrics: Mapping[str, float], data: Mapping[str, str] | None = None
) -> VersionSample:
    """The difference between two looks at a version's counters. A counter that was reset counts from zero."""
    codes = {code: max(0.0, number - before.codes.get(code, 0)) for code, number in now.codes.items() if code != GONE}
    cumulative = [max(0.0, number - before.latencies.get(bound, 0)) for bound, number in sorted(now.latencies.items())]
    buckets = [max(0, int(high - low)) for low, high in zip([0, *cumulative], cumulative, strict=False)]
    labelled = max(0, int(now.labels - before.labels))
    right = round(now.accuracy * now.labels - before.accuracy * before.labels)
    return VersionSample(
        requests=int(sum(codes.values())),
        failures=int(sum(number for code, number in codes.items() if code != "200")),
        latencies=buckets,
        right=max(0, min(labelled, right)),
        labelled=labelled,
        metrics=metrics,
        data=data or {},
    )


class Finding(Struct, frozen=True, kw_only=True):
    """The answer to one question. `chance` is the probability of such counts if the new version is no worse.

    What is not `compared` has no answer, and `numbers` says why.
    """

    question: str
    worse: bool
    numbers: str
    chance: float | None = None
    compared: bool = True

    def line(self) -> str:
        """The finding as one line."""
        chance = "" if self.chance is None else f", p = {self.chance:.2g}"
        return f"{self.question}: {self.numbers}{chance}{' — worse' if self.worse else ''}"


class Judgement(Struct, frozen=True, kw_only=True):
    """All findings. `enough`: both versions answered enough requests for "no worse" to count."""

    findings: tuple[Finding, ...]
    enough: bool

    @property
    def not_compared(self) -> tuple[Finding, ...]:
        """What could not be compared."""
        return tuple(finding for finding in self.findings if not finding.compared)

    @property
    def worse(self) -> tuple[Finding, ...]:
        """The findings in which the new version is worse."""
        return tuple(finding for finding in self.findings if finding.worse)


def judge(old: VersionSample, new: VersionSample, *, accept: Mapping[str, str], least: int, looks: int) -> Judgement:
    """Compare two versions. `accept` are the model's bounds, `looks` is the greatest number of comparisons."""
    level = LEVEL / max(1, looks)
    findings = [_failures(old, new, level), _latency(old, new, level), _labels(old, new, level)]
    findings += [_metric(name, bound, old, new) for name, bound in accept.items()]
    enough = new.requests >= least and old.requests >= least
    return Judgement(findings=tuple(finding for finding in findings if finding), enough=enough)


def _failures(old: VersionSample, new: VersionSample, level: float) -> Finding:
    chance = more_failures_by_chance(old.failures, old.requests, new.failures, new.requests)
    numbers = f"{_rate(new.failures, new.requests)} against {_rate(old.failures, old.requests)}"
    return Finding(question="failed requests", worse=chance < level, numbers=numbers, chance=chance)


def _latency(old: VersionSample, new: VersionSample, level: float) -> Finding | None:
    if not sum(old.latencies) or not sum(new.latencies):
        return None
    effect, chance = slower_by_chance(old.latencies, new.latencies)
    numbers = f"the new version is the slower of two in {effect:.0%}"
    return Finding(question="latency", worse=chance < level and effect >= LEAST_EFFECT, numbers=numbers, chance=chance)


def _labels(old: VersionSample, new: VersionSample, level: float) -> Finding | None:
    if not old.labelled or not new.labelled:
        return None
    wrong_old, wrong_new = old.labelled - old.right, new.labelled - new.right
    chance = more_failures_by_chance(wrong_old, old.labelled, wrong_new, new.labelled)
    numbers = f"wrong in {_rate(wrong_new, new.labelled)} against {_rate(wrong_old, old.labelled)}"
    return Finding(question="late labels", worse=chance < level, numbers=numbers, chance=chance)


def _metric(name: str, bound: str, old: VersionSample, new: VersionSample) -> Finding | None:
    """Compare a figure from training, which has no spread to test with.

    It is worse when it misses the old figure by more than a twentieth of the old figure's distance to the bound, so
    that the last digits do not decide. Figures that were measured on different data are not compared.
    """
    if name not in old.metrics or name not in new.metrics:
        return None
    if differing := other_data(old.data, new.data):
        numbers = f"not compared: the versions were measured on different data ({', '.join(differing)})"
        return Finding(question=name, worse=False, numbers=numbers, compared=False)
    more_is_better = bound.lstrip().startswith(">")
    limit = float(bound.lstrip("<>= "))
    change = (new.metrics[name] - old.metrics[name]) * (1 if more_is_better else -1)
    worse = change < -abs(old.metrics[name] - limit) / 20 and bound.lstrip()[:2] != "=="
    numbers = f"{new.metrics[name]:.6g} against {old.metrics[name]:.6g}, accepted {bound}"
    return Finding(question=name, worse=worse, numbers=numbers)


def more_failures_by_chance(failures_old: int, n_old: int, failures_new: int, n_new: int) -> float:
    """The probability that the new version has so many failures or more by chance (Fisher, one-sided)."""
    failures, total = failures_old + failures_new, n_old + n_new
    if not failures or not n_new or not n_old:
        return 1.0
    most = min(failures, n_new)
    logs = [
        _log_choose(n_new, k) + _log_choose(n_old, failures - k) - _log_choose(total, failures)
        for k in range(max(failures_new, failures - n_old), most + 1)
    ]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(each - top) for each in logs))


def slower_by_chance(old: Sequence[int], new: Sequence[int]) -> tuple[float, float]:
    """How often the new version is the slower of two (a tie counts half), and the probability of it by chance."""
    n_old, n_new = sum(old), sum(new)
    below, wins = 0, 0.0
    for here_old, here_new in zip(old, new, strict=True):
        wins += here_new * (below + here_old / 2)
        below += here_old
    effect = wins / (n_old * n_new)
    total = n_old + n_new
    ties = sum(t**3 - t for t in (a + b for a, b in zip(old, new, strict=True)))
    variance = n_old * n_new / 12 * (total + 1 - ties / (total * max(1, total - 1)))
    if variance <= 0:
        return effect, 1.0
    z = (wins - n_old * n_new / 2 - 0.5) / math.sqrt(variance)
    return effect, 0.5 * math.erfc(z / math.sqrt(2))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _rate(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({part / whole:.2%})" if whole else "")
