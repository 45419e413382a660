"""Which registered versions the work of a step uses: each reference that has the key of its registration beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from plimsoll.planning.steps import AnyStep

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "register_key": ("model", "reference"),
        "embedder_key": ("embedder",),
        "reranker_key": ("reranker",),
        "index_key": ("index",),
    }
)
"""The names of fields with a key, and of those beside them with a reference."""


class Use(Struct, frozen=True, kw_only=True):
    """A reference, such as `triage` or `triage@2`, and the key of the step that registers it; None for a pinned one."""

    reference: str
    key: str | None


def uses_of(step: AnyStep) -> tuple[Use, ...]:
    """What a step uses, each once."""
    return tuple(dict.fromkeys(_walk(step.work)))


def has_environment(step: AnyStep) -> bool:
    """Whether code of the user runs in the step, in the environment of the file."""
    return any(each.kind == "environment" for each in step.ingredients)


def _walk(value: object) -> Iterator[Use]:
    if isinstance(value, Struct):
        names = {each.name for each in msgspec.structs.fields(value)}
        for key, references in KEYS.items():
            for name in references:
                if key in names and name in names:
                    yield from _use(getattr(value, name), getattr(value, key))
        for name in names:
            yield from _walk(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _walk(each)


def _use(reference: object, key: object) -> Iterator[Use]:
    """A use, unless nothing is named; without a key, a name alone is that of something else, such as an endpoint."""
    if isinstance(reference, str) and isinstance(key, str | None) and reference and (key or "@" in reference):
        yield Use(reference=reference, key=key)
