"""Strategies that make any record, from the types of its fields alone."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from plimsoll.capabilities.records import CheckRecord

Made = TypeVar("Made", bound=CheckRecord)
_TEXT = st.text("abc-0/. é\n", max_size=6)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    msgspec.UnsetType: st.just(msgspec.UNSET),
    Any: st.none() | st.booleans() | _TEXT,
}


def made(kind: type[Made]) -> st.SearchStrategy[Made]:
    """Records of a type, with any values in its fields."""
    return _made(kind)


def _made(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([_made(each) for each in arguments])
    if origin is dict:
        return st.dictionaries(_made(arguments[0]), _made(arguments[1]), max_size=3)
    if origin is list:
        return st.lists(_made(arguments[0]), max_size=3)
    if origin is tuple and arguments[-1] is ...:
        return st.lists(_made(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_made, arguments))
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    assert issubclass(kind, msgspec.Struct), kind
    return st.builds(kind, **{each.name: _made(each.type) for each in msgspec.structs.fields(kind)})
