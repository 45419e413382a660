"""Every way in which a document differs from the shape of its types: keys, types, patterns, ranges. Pure.

The rules are read from the types themselves (`msgspec.inspect`), so that a new field needs no second description.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, inspect
from msgspec.structs import replace

from plimsoll.application.documents import words
from plimsoll.application.places import Keys


class Mistake(Struct, frozen=True, kw_only=True):
    """One mistake; `at_key` says that the key is wrong and not its value."""

    path: Keys
    message: str
    hint: str = ""
    at_key: bool = False


def mistakes(document: object, kind: type) -> list[Mistake]:
    """All mistakes of a document against a type, in the order of the document."""
    return list(_of(document, inspect.type_info(kind), ()))


def near(word: str, known: Iterable[str]) -> str:
    """A suggestion for a word that was not known."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known are: {', '.join(names)}" if names else ""


def _of(value: Any, kind: inspect.Type, path: Keys) -> Iterable[Mistake]:
    """Mistakes of one value."""
    if isinstance(kind, inspect.Metadata):
        for mistake in _of(value, kind.type, path):
            about_this = mistake.path == path and not mistake.hint
            yield replace(mistake, hint=_example(kind)) if about_this else mistake
    elif isinstance(kind, inspect.UnionType):
        yield from _of_union(value, kind, path)
    elif isinstance(kind, inspect.StructType):
        yield from _of_struct(value, kind, path)
    elif isinstance(kind, inspect.DictType):
        yield from _of_dict(value, kind, path)
    elif isinstance(kind, inspect.VarTupleType):
        yield from _of_list(value, kind, path)
    elif isinstance(kind, inspect.LiteralType):
        yield from _of_literal(value, kind, path)
    elif isinstance(kind, inspect.StrType):
        yield from _of_text(value, kind, path)
    elif isinstance(kind, inspect.IntType | inspect.FloatType):
        yield from _of_number(value, kind, path)
    elif isinstance(kind, inspect.NoneType) and value is not None:
        yield Mistake(path=path, message=f"nothing is wanted here, this is {words(value)}")


def _of_union(value: Any, kind: inspect.UnionType, path: Keys) -> Iterable[Mistake]:
    """The mistakes against the member that the value is most like."""
    members = [member for member in kind.types if not isinstance(_plain(member), inspect.NoneType)]
    if value is None:
        yield Mistake(path=path, message="a value is missing here", hint="give one, or remove the key")
        return
    alike = [member for member in members if _is_like(value, _plain(member))]
    if not alike:
        wanted = " or ".join(_kind_words(_plain(member)) for member in members)
        yield Mistake(path=path, message=f"{wanted} is wanted here, this is {words(value)}", hint=_example(members[0]))
        return
    yield from _of(value, alike[0], path)


def _of_struct(value: Any, kind: inspect.StructType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, dict):
        known = ", ".join(field.encode_name for field in kind.fields)
        name = path[-1] if path else "the file"
        yield Mistake(path=path, message=f"'{name}' wants keys of its own ({known}), this is {words(value)}")
        return
    fields = {field.encode_name: field for field in kind.fields}
    for key, inner in value.items():
        if key not in fields:
            yield Mistake(path=(*path, key), message=f"unknown key '{key}'", hint=near(key, fields), at_key=True)
        else:
            yield from _of(inner, fields[key].type, (*path, key))
    for name, field in fields.items():
        if field.required and name not in value:
            around = f"'{path[-1]}'" if path else "the file"
            yield Mistake(path=path, message=f"{around} lacks the key '{name}'", hint=_example(field.type), at_key=True)


def _of_dict(value: Any, kind: inspect.DictType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, dict):
        yield Mistake(path=path, message=f"names with values are wanted here, this is {words(value)}")
        return
    for key, inner in value.items():
        yield from (replace(mistake, at_key=True) for mistake in _of(key, kind.key_type, (*path, key)))
        yield from _of(inner, kind.value_type, (*path, key))


def _of_list(value: Any, kind: inspect.VarTupleType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, list):
        hint = f"write [{value}]" if isinstance(value, str) else ""
        yield Mistake(path=path, message=f"a list is wanted here, this is {words(value)}", hint=hint)
        return
    if kind.min_length and len(value) < kind.min_length:
        yield Mistake(path=path, message="this list is empty")
    for number, item in enumerate(value):
        yield from _of(item, kind.item_type, (*path, number))


def _of_literal(value: Any, kind: inspect.LiteralType, path: Keys) -> Iterable[Mistake]:
    if value not in kind.values:
        known = [str(one) for one in kind.values]
        if len(known) == 1:
            yield Mistake(path=path, message=f"'{path[-1]}' must be {known[0]}, this is {words(value)}")
        else:
            hint = near(str(value), known)
            yield Mistake(path=path, message=f"'{path[-1]}' knows no {words(value)}", hint=hint)


def _of_text(value: Any, kind: inspect.StrType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, str):
        hint = f'put it in quotes: "{value}"' if isinstance(value, bool | int | float) else ""
        yield Mistake(path=path, message=f"text is wanted here, this is {words(value)}", hint=hint)
    elif kind.pattern and not re.search(kind.pattern, value):
        yield Mistake(path=path, message=f"{words(value)} is not of the form that is wanted here")
    elif kind.min_length and len(value) < kind.min_length:
        yield Mistake(path=path, message="this text is empty")


def _of_number(value: Any, kind: inspect.IntType | inspect.FloatType, path: Keys) -> Iterable[Mistake]:
    whole = isinstance(kind, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        wanted = "a whole number" if whole else "a number"
        yield Mistake(path=path, message=f"{wanted} is wanted here, this is {words(value)}")
        return
    for bound, phrase, holds in (
        (kind.gt, "more than", operator.gt),
        (kind.ge, "at least", operator.ge),
        (kind.lt, "less than", operator.lt),
        (kind.le, "at most", operator.le),
    ):
        if bound is not None and not holds(value, bound):
            yield Mistake(path=path, message=f"'{path[-1]}' must be {phrase} {bound}, this is {value}")


def _plain(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _is_like(value: Any, kind: inspect.Type) -> bool:
    """Whether a value is of the same sort as a type, so that its mistakes are worth telling."""
    likeness: Sequence[tuple[type | tuple[type, ...], type | tuple[type, ...]]] = (
        (inspect.StructType, dict),
        (inspect.DictType, dict),
        (inspect.VarTupleType, list),
        (inspect.StrType, str),
        (inspect.LiteralType, str),
        ((inspect.IntType, inspect.FloatType), (int, float)),
    )
    return any(isinstance(kind, sort) and isinstance(value, types) for sort, types in likeness)


def _kind_words(kind: inspect.Type) -> str:
    names: Sequence[tuple[type | tuple[type, ...], str]] = (
        (inspect.StrType, "text"),
        (inspect.VarTupleType, "a list"),
        ((inspect.StructType, inspect.DictType), "a mapping"),
        (inspect.IntType, "a whole number"),
        (inspect.FloatType, "a number"),
    )
    return next((name for sort, name in names if isinstance(kind, sort)), "a word")


def _example(kind: inspect.Type) -> str:
    """The description and an example that a type carries."""
    if isinstance(kind, inspect.UnionType):
        return next((text for text in map(_example, kind.types) if text), "")
    if not isinstance(kind, inspect.Metadata) or not kind.extra_json_schema:
        return ""
    schema = kind.extra_json_schema
    examples = ", ".join(str(example) for example in schema.get("examples", ()))
    described = schema.get("description", "")
    return f"{described}, such as {examples}" if examples and described else described or examples
