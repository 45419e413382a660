"""Kubernetes' quantities. Source: apimachinery's resource.Quantity."""

from __future__ import annotations

from fractions import Fraction

_FACTORS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)},
}


def number(quantity: str | float) -> Fraction:
    """The exact value of a quantity such as `1500m`, `2Gi` or `1e3`. Raises ValueError for what is none."""
    text = str(quantity).strip()
    for unit in sorted(_FACTORS, key=len, reverse=True):
        if text.endswith(unit):
            return Fraction(text.removesuffix(unit)) * _FACTORS[unit]
    return Fraction(text)


def thousandths(quantity: str | float) -> int:
    """A quantity in thousandths, rounded up, as the scheduler counts processors."""
    return -int(-number(quantity) * 1000 // 1)


def written(thousandths: int) -> str:
    """Thousandths as an API server writes them: `1500m`, and `2` for 2000."""
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
