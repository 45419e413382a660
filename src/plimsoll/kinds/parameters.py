"""Checks of `spec.parameters`: one variable for each, and a command that reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parameters import variable


def check_parameters(file: ApplicationFile) -> None:
    """Raise FileError for two parameters that would share a variable, and for a number that is none."""
    seen: dict[str, str] = {}
    for name, value in file.application.parameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise file.error(f"the parameter '{name}' is not a number", "give it a number", "spec", "parameters", name)
        if variable(name) in seen:
            text = f"'{seen[variable(name)]}' and '{name}' would share the variable {variable(name)}"
            raise file.error(text, "rename one of them", "spec", "parameters", name, at_key=True)
        seen[variable(name)] = name


def require_used(file: ApplicationFile, used: Iterable[str]) -> None:
    """Raise FileError for a parameter that no command is given."""
    for name in file.application.parameters:
        if name not in set(used):
            hint = f"have a script read {variable(name)}, name its file under `code`, or remove the parameter"
            text = f"no command uses the parameter '{name}'"
            raise file.error(text, hint, "spec", "parameters", name, at_key=True)
