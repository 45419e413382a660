"""What a sweep searches: values of parameters, as the command line names them. Pure.

`lr=0.1,0.01` are choices, `lr=1e-4:1e-1` is a range, `lr=log:1e-4:1e-1` a range in which each power of ten is as likely
as the next. A value has the type of the parameter's default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from random import Random

from msgspec import Struct

from plimsoll.application.parameters import Parameter, ParameterError, as_text, with_settings

GRID, RANDOM, OPTUNA = "grid", "random", "optuna"
MOST_POINTS = 100_000
"""Combinations of a grid: more would not be tried in a lifetime, and are most likely a slip."""
_RANGE = "a range is LOW:HIGH or log:LOW:HIGH, choices are A,B,C"


class Dimension(Struct, frozen=True, kw_only=True):
    """One parameter: its `choices`, or a range from `low` to `high`, both included. `whole` means whole numbers."""

    name: str
    method: str
    choices: tuple[Parameter, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    def drawn(self, chance: Random) -> Parameter:
        """A value by chance."""
        if self.choices:
            return chance.choice(self.choices)
        if self.whole and not self.log:
            return chance.randint(int(self.low), int(self.high))
        # Half a step beyond both ends, so that the ends are as likely as what lies between them.
        margin = 0.5 if self.whole else 0.0
        low, high = self.low - margin, self.high + margin
        number = math.exp(chance.uniform(math.log(low), math.log(high))) if self.log else chance.uniform(low, high)
        return self.tidy(min(max(number, self.low), self.high))

    def tidy(self, value: Parameter) -> Parameter:
        """A number of the range with six digits, which is enough to search and short enough to read and to copy."""
        if self.choices or not isinstance(value, float):
            return value
        short = float(f"{value:.6g}")
        short = short if self.low <= short <= self.high else value
        return round(short) if self.whole else short

    @property
    def first(self) -> Parameter:
        """One value of the dimension, always the same."""
        if self.choices:
            return self.choices[0]
        return int(self.low) if self.whole else self.low


class Space(Struct, frozen=True, kw_only=True):
    """All dimensions of a sweep."""

    dimensions: tuple[Dimension, ...]

    def by(self, method: str) -> list[Dimension]:
        """The dimensions that a method chooses."""
        return [each for each in self.dimensions if each.method == method]

    @property
    def names(self) -> list[str]:
        """The parameters."""
        return [each.name for each in self.dimensions]

    def grid(self) -> list[dict[str, Parameter]]:
        """All combinations of the grid, the last parameter changing first; one empty combination without a grid."""
        found = self.by(GRID)
        return [
            dict(zip((each.name for each in found), values, strict=True))
            for values in product(*(each.choices for each in found))
        ]


def space_of(
    defaults: Mapping[str, Parameter], *, grid: Sequence[str], random: Sequence[str], optuna: Sequence[str]
) -> Space:
    """The dimensions that the options name. Raises ParameterError for one that does not fit the file."""
    named = [
        *(_dimension(text, GRID, defaults) for text in grid),
        *(_dimension(text, RANDOM, defaults) for text in random),
        *(_dimension(text, OPTUNA, defaults) for text in optuna),
    ]
    if not named:
        hint = "for example --grid learning_rate=0.1,0.01 or --random learning_rate=log:1e-4:1e-1"
        raise ParameterError("no parameter to search", where="--grid, --random, --optuna", hint=hint)
    seen: set[str] = set()
    for each in named:
        if each.name in seen:
            hint = "name each parameter once, with all its values"
            raise ParameterError(f"'{each.name}' is named twice", where=f"--{each.method}", hint=hint)
        seen.add(each.name)
    if math.prod(len(each.choices) for each in named if each.method == GRID) > MOST_POINTS:
        hint = "use fewer values, or draw them with --random"
        raise ParameterError(f"the grid has more than {MOST_POINTS} combinations", where="--grid", hint=hint)
    return Space(dimensions=tuple(named))


def _dimension(text: str, method: str, defaults: Mapping[str, Parameter]) -> Dimension:
    where = f"--{method}"
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise ParameterError(f"'{text}' has no values", where=where, hint=f"write {where} NAME=VALUES; {_RANGE}")
    default = defaults.get(name)
    if ":" in values and name in defaults and not isinstance(default, str):
        if method == GRID:
            hint = f"name the values, such as {name}={values.rpartition(':')[2]},…; --random draws from a range"
            raise ParameterError(f"a grid has no range '{values}'", where=where, hint=hint)
        return _range(name, values, method, defaults)
    choices = tuple(dict.fromkeys(_values(name, values.split(","), where, defaults)))
    return Dimension(name=name, method=method, choices=choices)


def _range(name: str, text: str, method: str, defaults: Mapping[str, Parameter]) -> Dimension:
    where = f"--{method}"
    *scale, low_text, high_text = text.split(":")
    if scale not in ([], ["log"]) or not low_text or not high_text or isinstance(defaults[name], bool):
        raise ParameterError(f"'{name}={text}' is not a range", where=where, hint=_RANGE)
    low, high = (float(each) for each in _values(name, (low_text, high_text), where, defaults))
    if low >= high:
        raise ParameterError(f"the range '{name}={text}' is empty", where=where, hint="LOW is below HIGH")
    if scale and low <= 0:
        hint = "a logarithmic range begins above 0"
        raise ParameterError(f"the range '{name}={text}' begins at {low_text}", where=where, hint=hint)
    whole = isinstance(defaults[name], int)
    return Dimension(name=name, method=method, low=low, high=high, log=bool(scale), whole=whole)


def _values(name: str, texts: Iterable[str], where: str, defaults: Mapping[str, Parameter]) -> list[Parameter]:
    try:
        return [with_settings(defaults, [f"{name}={text}"])[name] for text in texts]
    except ParameterError as error:
        raise ParameterError(error.message, where=where, hint=error.hint) from None


def settings_of(values: Mapping[str, Parameter]) -> list[str]:
    """Values as `--set` takes them."""
    return [f"{name}={as_text(value)}" for name, value in values.items()]
