"""Custom objects held against the schema of their definition: types, required fields, limits, defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from plimsoll.kubernetes.memory.refusals import Cause, Manifest
from plimsoll.kubernetes.memory.values import copied

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_KEPT = "x-kubernetes-preserve-unknown-fields"
_TOP = frozenset({"apiVersion", "kind", "metadata"})


def fitted(schema: Manifest, manifest: Manifest) -> Manifest:
    """A custom object with the schema's defaults, and without the fields that the schema does not know."""
    own = {key: copied(value) for key, value in manifest.items() if key in _TOP}
    rest = {key: value for key, value in manifest.items() if key not in _TOP}
    return {**own, **_fitted(schema, rest)}


def _fitted(schema: Manifest, value: Any) -> Any:
    if isinstance(value, list):
        return [_fitted(schema.get("items") or {}, each) for each in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties") or {}
    further = schema.get("additionalProperties")
    kept = {}
    for key, each in value.items():
        if key in properties:
            kept[key] = _fitted(properties[key], each)
        elif further or schema.get(_KEPT):
            kept[key] = _fitted(further, each) if isinstance(further, dict) else copied(each)
    for key, part in properties.items():
        if key not in kept and "default" in part:
            kept[key] = copied(part["default"])
    return kept


def schema_causes(schema: Manifest, manifest: Manifest) -> Iterator[Cause]:
    """What of a custom object does not fit the schema."""
    rest = {key: value for key, value in manifest.items() if key not in _TOP}
    required = [name for name in schema.get("required") or [] if name not in _TOP]
    yield from _causes({**schema, "required": required}, rest, "")


def _causes(schema: Manifest, value: Any, field: str) -> Iterator[Cause]:
    kind = schema.get("type", "")
    if value is None and schema.get("nullable"):
        return
    if kind in _TYPES and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        told = f'Invalid value: "{type(value).__name__}": {field} in body must be of type {kind}'
        yield Cause(field=field, message=told, reason="FieldValueTypeInvalid")
        return
    yield from _limits(schema, value, field)
    if isinstance(value, dict):
        for name in schema.get("required") or []:
            if name not in value:
                yield Cause(field=_below(field, name), message="Required value", reason="FieldValueRequired")
        properties, further = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, each in value.items():
            part = properties.get(key, further if isinstance(further, dict) else None)
            if part is not None:
                yield from _causes(part, each, _below(field, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _causes(schema.get("items") or {}, each, f"{field}[{index}]")


def _below(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _limits(schema: Manifest, value: Any, field: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        names = ", ".join(f'"{each}"' for each in schema["enum"])
        told = f'Unsupported value: "{value}": supported values: {names}'
        yield Cause(field=field, message=told, reason="FieldValueNotSupported")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            words = f"should be greater than or equal to {schema['minimum']}"
            yield Cause(field=field, message=f"Invalid value: {value}: {field} in body {words}")
        if "maximum" in schema and value > schema["maximum"]:
            words = f"should be less than or equal to {schema['maximum']}"
            yield Cause(field=field, message=f"Invalid value: {value}: {field} in body {words}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            words = f"should match '{schema['pattern']}'"
            yield Cause(field=field, message=f'Invalid value: "{value}": {field} in body {words}')
        if len(value) > schema.get("maxLength", len(value)):
            told = f"Too long: may not be more than {schema['maxLength']} bytes"
            yield Cause(field=field, message=told, reason="FieldValueTooLong")
        if len(value) < schema.get("minLength", 0):
            words = f"should be at least {schema['minLength']} chars long"
            yield Cause(field=field, message=f'Invalid value: "{value}": {field} in body {words}')
