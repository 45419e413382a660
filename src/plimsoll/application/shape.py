"""Checks a document against the shape of its types: keys, types, patterns, ranges. Pure.

The rules are derived from the types (`msgspec.inspect`), so a new field needs no second description.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, inspect
from msgspec.structs import replace

from plimsoll.documents.places import Keys
from plimsoll.documents.reading import describe_value, shorten


class Mistake(Struct, frozen=True, kw_only=True):
    """One mistake at a path of keys; `at_key` means that the key is wrong, not its value."""

    path: Keys
    message: str
    hint: str = ""
    at_key: bool = False


def find_mistakes(document: object, kind: type) -> list[Mistake]:
    """Check a document against a type; returns all mistakes in the order of the document."""
    return list(_of(document, inspect.type_info(kind), ()))


_SYNONYMS = {
    **dict.fromkeys(("gpu", "gpus", "cuda", "devices", "accelerator", "nvidia.com/gpu"), "accelerators"),
    **dict.fromkeys(("mem", "ram"), "memory"),
    **dict.fromkeys(("cpus", "cores"), "cpu"),
    **dict.fromkeys(("command", "cmd", "script", "entrypoint"), "run"),
    **dict.fromkeys(("params", "vars", "variables", "hyperparameters"), "parameters"),
    **dict.fromkeys(("replicas", "nodes", "processes"), "workers"),
    **dict.fromkeys(("url", "uri", "path", "file"), "source"),
    **dict.fromkeys(("metrics", "gate", "gates", "thresholds"), "accept"),
    # Where a part names a model, where that comes from is said in spec.models.
    **dict.fromkeys(("source", "weights", "gguf"), "model"),
}
"""Words of other tools, and the key of ours that means the same."""


def suggest_name(word: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the known name that means the same or is most similar, or all known names."""
    import difflib

    names = list(known)
    if _SYNONYMS.get(word.lower()) in names:
        return f"did you mean '{_SYNONYMS[word.lower()]}'?"
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known names: {', '.join(names)}" if names else ""


def _of(value: object, kind: inspect.Type, path: Keys, about: inspect.Metadata | None = None) -> Iterable[Mistake]:
    """Mistakes of one value; `about` has the description and the examples of its type."""
    if isinstance(kind, inspect.Metadata):
        for mistake in _of(value, kind.type, path, kind):
            about_this = mistake.path == path and not mistake.hint
            yield replace(mistake, hint=_description(kind)) if about_this else mistake
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
        yield from _of_text(value, kind, path, about)
    elif isinstance(kind, inspect.IntType | inspect.FloatType):
        yield from _of_number(value, kind, path)
    elif isinstance(kind, inspect.NoneType) and value is not None:
        yield Mistake(path=path, message=f"expected no value, got {describe_value(value)}")


def _of_union(value: object, kind: inspect.UnionType, path: Keys) -> Iterable[Mistake]:
    """The mistakes against the first member whose type is similar to the value's; none when one of them fits."""
    members = [member for member in kind.types if not isinstance(_plain(member), inspect.NoneType)]
    if value is None:
        yield Mistake(path=path, message="the value is missing", hint="set a value, or remove the key")
        return
    alike = [member for member in members if _has_similar_type(value, _plain(member))]
    if not alike:
        variables = [each for member in members if isinstance(each := _plain(member), inspect.StructType)]
        if len(variables) == 1 and _is_variable(variables[0]):
            yield from _of_struct(value, variables[0], path)
            return
        expected = " or ".join(_kind_words(_plain(member)) for member in members)
        message = f"expected {expected}, got {describe_value(value)}"
        yield Mistake(path=path, message=message, hint=_description(members[0]))
        return
    found = [list(_of(value, member, path)) for member in alike]
    yield from next((mistakes for mistakes in found if not mistakes), found[0])


def _of_struct(value: object, kind: inspect.StructType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, dict):
        known = ", ".join(field.encode_name for field in kind.fields)
        name = path[-1] if path else "the file"
        if _is_variable(kind):
            # A text in this place is likely the credential itself.
            got = "a text, which is not shown" if isinstance(value, str) else describe_value(value)
            hint = "write {env: NAME}, and set the variable NAME to the value"
            yield Mistake(
                path=path, message=f"'{name}': expected a mapping with the name of a variable, got {got}", hint=hint
            )
            return
        message = f"'{name}': expected a mapping with the keys {known}, got {describe_value(value)}"
        yield Mistake(path=path, message=message)
        return
    fields = {field.encode_name: field for field in kind.fields}
    for key, inner in value.items():
        if key not in fields:
            yield Mistake(
                path=(*path, key), message=f"unknown key '{key}'", hint=suggest_name(key, fields), at_key=True
            )
        else:
            yield from _of(inner, fields[key].type, (*path, key))
    for name, field in fields.items():
        if field.required and name not in value:
            parent = f"'{path[-1]}'" if path else "the file"
            message = f"{parent} has no key '{name}'"
            yield Mistake(path=path, message=message, hint=_description(field.type), at_key=True)


def _is_variable(kind: inspect.StructType) -> bool:
    """Whether a value says nothing but in which variable something is: what is secret, as a rule."""
    return [field.encode_name for field in kind.fields] == ["env"]


def _of_dict(value: object, kind: inspect.DictType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, dict):
        yield Mistake(path=path, message=f"expected a mapping of names to values, got {describe_value(value)}")
        return
    for key, inner in value.items():
        yield from (replace(mistake, at_key=True) for mistake in _of(key, kind.key_type, (*path, key)))
        yield from _of(inner, kind.value_type, (*path, key))


def _of_list(value: object, kind: inspect.VarTupleType, path: Keys) -> Iterable[Mistake]:
    if not isinstance(value, list):
        hint = f"write [{value}]" if isinstance(value, str) else ""
        yield Mistake(path=path, message=f"expected a list, got {describe_value(value)}", hint=hint)
        return
    if kind.min_length and len(value) < kind.min_length:
        yield Mistake(path=path, message=f"expected a list of at least {kind.min_length}, got {len(value)}")
    for number, item in enumerate(value):
        yield from _of(item, kind.item_type, (*path, number))


def _of_literal(value: object, kind: inspect.LiteralType, path: Keys) -> Iterable[Mistake]:
    if value not in kind.values:
        known = [str(one) for one in kind.values]
        if len(known) == 1:
            yield Mistake(path=path, message=f"'{path[-1]}' must be {known[0]}, got {describe_value(value)}")
        else:
            message = f"'{path[-1]}': unknown value, got {describe_value(value)}"
            yield Mistake(path=path, message=message, hint=suggest_name(str(value), known))


def _of_text(value: object, kind: inspect.StrType, path: Keys, about: inspect.Metadata | None) -> Iterable[Mistake]:
    if not isinstance(value, str):
        hint = _as_text(value, kind)
        yield Mistake(path=path, message=f"expected text, got {describe_value(value)}", hint=hint)
    elif kind.pattern and not re.search(kind.pattern, value):
        schema = _schema(about)
        expected = schema.get("description", f"text that matches {kind.pattern}")
        hint = f"for example {_examples(schema)}" if _examples(schema) else "correct the value"
        # As above.
        got = "a text, which is not shown" if path and path[-1] == "env" else f"`{shorten(value)}`"
        yield Mistake(path=path, message=f"expected {expected}, got {got}", hint=hint)
    elif kind.min_length and len(value) < kind.min_length:
        yield Mistake(path=path, message="the text is empty")


def _as_text(value: object, kind: inspect.StrType) -> str:
    """How to write a value that is no text as text that fits; empty when that cannot be told."""
    if not isinstance(value, bool | int | float):
        return ""
    if not kind.pattern or re.search(kind.pattern, str(value)):
        return f'put it in quotes: "{value}"'
    is_bound = not isinstance(value, bool) and re.search(kind.pattern, f">= {value}")
    return f'compare with it: ">= {value}" or "<= {value}"' if is_bound else ""


def _of_number(value: object, kind: inspect.IntType | inspect.FloatType, path: Keys) -> Iterable[Mistake]:
    whole = isinstance(kind, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        expected = "a whole number" if whole else "a number"
        yield Mistake(path=path, message=f"expected {expected}, got {describe_value(value)}")
        return
    for bound, phrase, holds in (
        (kind.gt, "more than", operator.gt),
        (kind.ge, "at least", operator.ge),
        (kind.lt, "less than", operator.lt),
        (kind.le, "at most", operator.le),
    ):
        if bound is not None and not holds(value, bound):
            yield Mistake(path=path, message=f"'{path[-1]}' must be {phrase} {bound}, got {value}")


def _plain(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _has_similar_type(value: object, kind: inspect.Type) -> bool:
    """Whether a value has the type of a kind, so that its mistakes against it are worth reporting."""
    pairs: Sequence[tuple[type | tuple[type, ...], type | tuple[type, ...]]] = (
        (inspect.StructType, dict),
        (inspect.DictType, dict),
        (inspect.VarTupleType, list),
        (inspect.StrType, str),
        (inspect.LiteralType, str),
        (inspect.BoolType, bool),
        ((inspect.IntType, inspect.FloatType), (int, float)),
    )
    return any(isinstance(kind, sort) and isinstance(value, types) for sort, types in pairs)


def _kind_words(kind: inspect.Type) -> str:
    names: Sequence[tuple[type | tuple[type, ...], str]] = (
        (inspect.StrType, "text"),
        (inspect.VarTupleType, "a list"),
        ((inspect.StructType, inspect.DictType), "a mapping"),
        (inspect.IntType, "a whole number"),
        (inspect.FloatType, "a number"),
        (inspect.BoolType, "true or false"),
    )
    return next((name for sort, name in names if isinstance(kind, sort)), "a word")


def _description(kind: inspect.Type) -> str:
    """The description and the examples of a type, as a hint; empty when it has neither."""
    if isinstance(kind, inspect.UnionType):
        return next((text for text in map(_description, kind.types) if text), "")
    schema = _schema(kind)
    examples, description = _examples(schema), str(schema.get("description", ""))
    return f"{description}, for example {examples}" if examples and description else description or examples


def _schema(kind: inspect.Type | None) -> Mapping[str, object]:
    return (kind.extra_json_schema or {}) if isinstance(kind, inspect.Metadata) else {}


def _examples(schema: Mapping[str, object]) -> str:
    examples = schema.get("examples", ())
    return ", ".join(map(str, examples)) if isinstance(examples, list | tuple) else ""
