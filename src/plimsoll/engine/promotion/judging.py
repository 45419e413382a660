"""Whether a new version is worse than the one in service: from counts of both, with the numbers shown. Pure.

Requests fall to the versions by chance, so whatever differs beyond chance is the version's doing. Each question is one
test against "no worse", at the level `LEVEL` shared by all looks that are taken at it (Bonferroni); what is not
significant is "no worse as far as was seen", and `least` says how much must have been seen for that to count.
Sources: Fisher's exact test; Mann and Whitney (1947) with the correction for ties, as latencies come in buckets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.telemetry.version_counts import VersionCounts

LEVEL = 0.01
"""The chance to send a good version back, over a whole promotion and for each question."""
LEAST_EFFECT = 0.56
"""How often a request to the new version must be the slower of two for it to count: a small effect by Cohen's words.

With many requests a difference that nobody feels is significant; this is what somebody feels.
"""


class Side(Struct, frozen=True, kw_only=True):
    """What one version did.

    `failures` are answers other than 200. `latencies` are counts by bucket, in ascending order. `right` of `labelled`
    are predictions whose label has come. `metrics` are its figures from training, by name.
    """

    requests: int
    failures: int
    latencies: Sequence[int]
    right: int = 0
    labelled: int = 0
    metrics: Mapping[str, float] = {}


def side(now: VersionCounts, before: VersionCounts, metrics: Mapping[str, float]) -> Side:
    """What a version did between two looks at its counters. Counters that have begun anew count from zero."""
    codes = {code: max(0.0, number - before.codes.get(code, 0)) for code, number in now.codes.items()}
    cumulative = [max(0.0, number - before.latencies.get(bound, 0)) for bound, number in sorted(now.latencies.items())]
    buckets = [max(0, int(high - low)) for low, high in zip([0, *cumulative], cumulative, strict=False)]
    labelled = max(0, int(now.labels - before.labels))
    right = round(now.accuracy * now.labels - before.accuracy * before.labels)
    return Side(
        requests=int(sum(codes.values())),
        failures=int(sum(number for code, number in codes.items() if code != "200")),
        latencies=buckets,
        right=max(0, min(labelled, right)),
        labelled=labelled,
        metrics=metrics,
    )


class Finding(Struct, frozen=True, kw_only=True):
    """The answer to one question. `chance` is how likely such counts are if the new version is no worse."""

    question: str
    worse: bool
    numbers: str
    chance: float | None = None

    def words(self) -> str:
        """One line."""
        chance = "" if self.chance is None else f", p = {self.chance:.2g}"
        return f"{self.question}: {self.numbers}{chance}{' — worse' if self.worse else ''}"


class Judgement(Struct, frozen=True, kw_only=True):
    """All findings. `enough`: the new version has been asked often enough for "no worse" to count."""

    findings: tuple[Finding, ...]
    enough: bool

    @property
    def worse(self) -> tuple[Finding, ...]:
        """The findings that speak against the new version."""
        return tuple(finding for finding in self.findings if finding.worse)


def judge(old: Side, new: Side, *, accept: Mapping[str, str], least: int, looks: int) -> Judgement:
    """Compare two versions. `accept` are the model's bounds, `looks` is how often at most this will be asked."""
    level = LEVEL / max(1, looks)
    findings = [_failures(old, new, level), _latency(old, new, level), _labels(old, new, level)]
    findings += [_metric(name, bound, old, new) for name, bound in accept.items()]
    enough = new.requests >= least and old.requests >= least
    return Judgement(findings=tuple(finding for finding in findings if finding), enough=enough)


def _failures(old: Side, new: Side, level: float) -> Finding:
    chance = more_failures_by_chance(old.failures, old.requests, new.failures, new.requests)
    numbers = f"{_rate(new.failures, new.requests)} against {_rate(old.failures, old.requests)}"
    return Finding(question="failed requests", worse=chance < level, numbers=numbers, chance=chance)


def _latency(old: Side, new: Side, level: float) -> Finding | None:
    if not sum(old.latencies) or not sum(new.latencies):
        return None
    effect, chance = slower_by_chance(old.latencies, new.latencies)
    numbers = f"the new one is the slower of two in {effect:.0%}"
    return Finding(question="latency", worse=chance < level and effect >= LEAST_EFFECT, numbers=numbers, chance=chance)


def _labels(old: Side, new: Side, level: float) -> Finding | None:
    if not old.labelled or not new.labelled:
        return None
    wrong_old, wrong_new = old.labelled - old.right, new.labelled - new.right
    chance = more_failures_by_chance(wrong_old, old.labelled, wrong_new, new.labelled)
    numbers = f"wrong in {_rate(wrong_new, new.labelled)} against {_rate(wrong_old, old.labelled)}"
    return Finding(question="late labels", worse=chance < level, numbers=numbers, chance=chance)


def _metric(name: str, bound: str, old: Side, new: Side) -> Finding | None:
    """A figure from training has no spread to test with: it is worse when it lies on the wrong side of the old one.

    By a twentieth of the old one's distance to the bound, so that the last digits do not decide.
    """
    if name not in old.metrics or name not in new.metrics:
        return None
    more_is_better = bound.lstrip().startswith(">")
    limit = float(bound.lstrip("<>= "))
    change = (new.metrics[name] - old.metrics[name]) * (1 if more_is_better else -1)
    worse = change < -abs(old.metrics[name] - limit) / 20 and bound.lstrip()[:2] != "=="
    numbers = f"{new.metrics[name]:.6g} against {old.metrics[name]:.6g}, accepted {bound}"
    return Finding(question=name, worse=worse, numbers=numbers)


def more_failures_by_chance(failures_old: int, n_old: int, failures_new: int, n_new: int) -> float:
    """How likely the new side has that many failures or more, if all failures fell by chance (Fisher, one-sided)."""
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
    """How often the new side is the slower of two (ties count half), and how likely so by chance (one-sided)."""
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
