"""Expressions of the Common Expression Language, evaluated by the library of those who define it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest


@cache
def _compiled(expression: str, names: tuple[str, ...]) -> Any:
    cel = pytest.importorskip("cel_expr_python.cel")
    environment = cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN))
    return environment, environment.compile(expression)


def evaluate(expression: str, known: Mapping[str, Any]) -> Any:
    """The value of an expression; an error where it has none."""
    _, compiled = _compiled(expression, tuple(sorted(known)))
    return compiled.eval(data=dict(known)).plain_value()
