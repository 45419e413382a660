"""How bad an advisory is, in the four words of CVSS. Pure. Source: CVSS v3.1 specification, section 7."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

Severity = Literal["low", "medium", "high", "critical", "not told"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical", "not told")
"""From the least to the worst: what nobody has told may be anything."""
_WORDS: Mapping[str, Severity] = MappingProxyType(
    {"low": "low", "moderate": "medium", "medium": "medium", "high": "high", "critical": "critical"}
)
_METRICS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
        "AC": {"L": 0.77, "H": 0.44},
        "UI": {"N": 0.85, "R": 0.62},
        "C": {"H": 0.56, "L": 0.22, "N": 0},
        "I": {"H": 0.56, "L": 0.22, "N": 0},
        "A": {"H": 0.56, "L": 0.22, "N": 0},
    }
)
_PRIVILEGES = {"N": (0.85, 0.85), "L": (0.62, 0.68), "H": (0.27, 0.5)}


def severity(vectors: Iterable[tuple[str, str]], words: Iterable[str]) -> Severity:
    """The severity by vectors of CVSS 3, as (type, vector), or by the words of the database, whichever is worse."""
    found = [_WORDS[word.lower()] for word in words if word.lower() in _WORDS]
    for kind, vector in vectors:
        score = base_score(vector) if kind == "CVSS_V3" else None
        if score is not None:
            found.append(_of_score(score))
    return max(found, key=SEVERITIES.index, default="not told")


def worst(found: Iterable[Severity]) -> Severity:
    """The worst of what several databases say about one vulnerability; who does not tell does not count."""
    told = [each for each in found if each != "not told"]
    return max(told, key=SEVERITIES.index, default="not told")


def base_score(vector: str) -> float | None:
    """The base score of a vector of CVSS 3.0 or 3.1; None for a vector that is not whole."""
    parts = dict(part.split(":", 1) for part in vector.split("/") if ":" in part)
    try:
        changed = {"U": False, "C": True}[parts["S"]]
        values = {name: known[parts[name]] for name, known in _METRICS.items()}
        privileges = _PRIVILEGES[parts["PR"]][changed]
    except KeyError:
        return None
    inner = 1 - (1 - values["C"]) * (1 - values["I"]) * (1 - values["A"])
    impact = 7.52 * (inner - 0.029) - 3.25 * (inner - 0.02) ** 15 if changed else 6.42 * inner
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * values["AV"] * values["AC"] * privileges * values["UI"]
    return _round_up(min((1.08 if changed else 1) * (impact + exploitability), 10))


def _round_up(value: float) -> float:
    """To one decimal, upwards, as appendix A of the specification computes it."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (math.floor(whole / 10_000) + 1) / 10


def _of_score(score: float) -> Severity:
    return "critical" if score >= 9 else "high" if score >= 7 else "medium" if score >= 4 else "low"
