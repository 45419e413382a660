"""Parameters of an application: values that commands read from variables, with defaults that a run may change.

A step is given the parameters that its command or its code names, and only these are part of its key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from plimsoll.application.scalars import environment_name
from plimsoll.application.shape import suggest_name
from plimsoll.errors import FileError

PREFIX = "PLIMSOLL_PARAM_"
READ_LIMIT = 1 << 20
"""Bytes of a file that are searched for names of parameters."""

ParameterName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z]([a-z0-9_-]{0,61}[a-z0-9])?$",
        description="a name of at most 63 lower-case letters, digits, '-' and '_', a letter first",
        examples=["learning_rate", "epochs"],
    ),
]
Parameter = Annotated[
    bool | int | float | str,
    Meta(description="the default: text, a number, or true or false", examples=[0.1, 20, "adam"]),
]

_NAMED = re.compile(re.escape(PREFIX).encode() + rb"([A-Z0-9_]*)")


class ParameterError(FileError):
    """A parameter of the command line that cannot be set."""


def variable(name: str) -> str:
    """The variable of a parameter: `PLIMSOLL_PARAM_LEARNING_RATE`."""
    return PREFIX + environment_name(name)


def as_text(value: Parameter) -> str:
    """The value as a command reads it: `true` and `false`, and numbers in the shortest form that is exact."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_settings(defaults: Mapping[str, Parameter], settings: Iterable[str]) -> dict[str, Parameter]:
    """The defaults, changed by settings such as `lr=0.1`; a value has the type of its default.

    Raises ParameterError for a name that the file does not have, and for a value of another type.
    """
    values = dict(defaults)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ParameterError(f"'{setting}' has no '='", where="--set", hint="write --set NAME=VALUE")
        if name not in defaults:
            hint = suggest_name(name, defaults) or "add it to spec.parameters with its default"
            raise ParameterError(f"the file has no parameter '{name}'", where="--set", hint=hint)
        values[name] = _typed(name, text, defaults[name])
    return values


def named_in(command: str, files: Iterable[Path], known: Iterable[str]) -> tuple[str, ...]:
    """The parameters that a command or one of its files names, in the order of `known`.

    A program that puts the names together itself (`"PLIMSOLL_PARAM_" + name`) is given all of them.
    """
    names = list(known)
    if not names:
        return ()
    found = set(_NAMED.findall(command.encode(errors="surrogateescape")))
    for path in files:
        try:
            with path.open("rb") as file:
                found.update(_NAMED.findall(file.read(READ_LIMIT)))
        except OSError:
            # The digest of the same file says why it cannot be read.
            continue
    by_variable = {environment_name(name).encode(): name for name in names}
    if found - set(by_variable):
        return tuple(names)
    return tuple(name for mention, name in by_variable.items() if mention in found)


def _typed(name: str, text: str, default: Parameter) -> Parameter:
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise _wrong(name, text, "true or false", default)
        return text == "true"
    if isinstance(default, int):
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise _wrong(name, text, "a whole number", default)
        return int(text)
    try:
        number = float(text) if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", text) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(name, text, "a number", default)
    return number


def _wrong(name: str, text: str, expected: str, default: Parameter) -> ParameterError:
    return ParameterError(
        f"the parameter '{name}' takes {expected}, got '{text}'",
        where="--set",
        hint=f"its default is {as_text(default)}",
    )
