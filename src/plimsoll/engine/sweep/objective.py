"""What a sweep makes large or small: a figure of the training. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.errors import FileError


class Objective(Struct, frozen=True, kw_only=True):
    """A figure of metrics.json, or a series of metrics.jsonl, and which of two values is the better one."""

    name: str
    maximize: bool

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is better than `other`."""
        return one > other if self.maximize else one < other

    def best(self, values: Sequence[float]) -> float:
        """The best of some values."""
        return max(values) if self.maximize else min(values)

    @property
    def words(self) -> str:
        """The objective in words."""
        return f"{'highest' if self.maximize else 'lowest'} {self.name}"


def objective_of(name: str | None, maximize: bool | None, accept: Mapping[str, str], model: str) -> Objective:
    """The objective that the options name; by default the first bound that the model must satisfy.

    Raises FileError where neither says which figure counts, or which way.
    """
    bounds = {figure: bound for figure, bound in accept.items() if re.match(r"\s*[<>]", bound)}
    if name is None:
        name = next(iter(bounds), None)
    if name is None:
        hint = "for example --objective accuracy --maximize, or accept: {accuracy: '>= 0.8'} of the model"
        raise FileError(f"nothing says which figure of '{model}' is to be the best", where="--objective", hint=hint)
    if maximize is None and name in bounds:
        maximize = bounds[name].strip().startswith(">")
    if maximize is None:
        hint = "add --maximize or --minimize"
        raise FileError(f"nothing says whether '{name}' is to be high or low", where="--objective", hint=hint)
    return Objective(name=name, maximize=maximize)


def series_of(text: str, objective: Objective) -> Objective:
    """The series that early stopping watches, such as `loss:min`. Raises FileError."""
    name, colon, way = text.rpartition(":")
    if colon and way in ("min", "max") and name:
        return Objective(name=name, maximize=way == "max")
    if text == objective.name:
        return objective
    hint = f"write {text}:min or {text}:max"
    raise FileError(f"nothing says whether '{text}' is to be high or low", where="--stop-early", hint=hint)
