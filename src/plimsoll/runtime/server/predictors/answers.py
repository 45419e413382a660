"""What a user's code may answer: the tensors that were declared, or that its first answer had. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array, datatype_of


class WrongAnswer(Exception):
    """An answer that is not as it must be; the message is for the caller and for the author of the code."""


def learnt(one: Mapping[str, Array], three: Mapping[str, Array] | None) -> tuple[TensorSpec, ...]:
    """The outputs of code that declares none, from its answers to one row and, if there was one, to three.

    A dimension is open when it follows the rows; without an answer to three rows the first one is.
    """
    return tuple(
        TensorSpec(name=name, datatype=datatype_of(array), shape=_shape(array, three[name] if three else None))
        for name, array in one.items()
    )


def _shape(one: Array, three: Array | None) -> tuple[int, ...]:
    if three is None or three.ndim != one.ndim:
        return tuple(-1 if place == 0 else size for place, size in enumerate(one.shape))
    return tuple(size if size == other else -1 for size, other in zip(one.shape, three.shape, strict=True))


def split(
    outputs: Mapping[str, Array], specs: Sequence[TensorSpec], rows: Sequence[int]
) -> list[dict[str, Array] | WrongAnswer]:
    """The answers of calls that were computed together, each checked; `rows` has the number of rows of each call.

    Raises WrongAnswer when the answer as a whole is wrong.
    """
    require_tensors(outputs, specs)
    total = sum(rows)
    for spec in specs:
        if len(rows) > 1 and len(outputs[spec.name]) != total:
            raise WrongAnswer(f"output '{spec.name}' has {len(outputs[spec.name])} rows for {total}")
    bad = {spec.name for spec in specs if _has_nan(outputs[spec.name])}
    if len(rows) == 1:
        return [_without_nan(dict(outputs), bad)]
    found, begin = [], 0
    for count in rows:
        part = {name: array[begin : begin + count] for name, array in outputs.items()}
        found.append(_without_nan(part, bad) if bad else part)
        begin += count
    return found


def require_tensors(outputs: Mapping[str, Array], specs: Sequence[TensorSpec]) -> None:
    """Raise WrongAnswer unless the outputs have the names, types and shapes of their specs."""
    wanted = [spec.name for spec in specs]
    if missing := [name for name in wanted if name not in outputs]:
        raise WrongAnswer(f"the output '{missing[0]}' is missing; there is {', '.join(outputs) or 'none'}")
    if extra := [name for name in outputs if name not in wanted]:
        raise WrongAnswer(f"the output '{extra[0]}' is one too many; {', '.join(wanted)} were declared or seen before")
    for spec in specs:
        array = outputs[spec.name]
        datatype = datatype_of(array)
        if datatype != spec.datatype:
            raise WrongAnswer(f"output '{spec.name}' is {datatype}, not {spec.datatype}")
        fits = array.ndim == len(spec.shape) and all(
            want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True)
        )
        if not fits:
            raise WrongAnswer(f"output '{spec.name}' has the shape {list(array.shape)}, not {list(spec.shape)}")


def _has_nan(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _without_nan(part: dict[str, Array], suspected: set[str]) -> dict[str, Array] | WrongAnswer:
    for name in suspected:
        found = np.argwhere(np.isnan(part[name]))
        if len(found):
            return WrongAnswer(f"output '{name}' is not a number (NaN) at {found[0].tolist()}")
    return part
