"""What a service's command offers: a function `predict(inputs)` in its script, or an HTTP server. Nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from plimsoll.application.scripts import starts_script

PORT = "PORT"
"""The variable with the port that a server has to listen on: what names it is a server."""
PREDICT = "predict"


def function_script(command: str, directory: Path) -> str:
    """The word of a command that is a script with `predict` in it; empty for a command that is a server.

    A script that names PORT listens by itself, whatever it calls its functions. Python is started without a shell, so
    that only a command that needs none has a function.
    """
    script = starts_script(command)
    if script is None or not script.endswith(".py") or PORT in command:
        return ""
    try:
        tree = ast.parse((directory / script).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ""
    return script if PREDICT in set(_names(tree)) and not _names_port(tree) else ""


def unreadable_script(command: str, directory: Path) -> str:
    """What is wrong with the script that a command hands to Python, as file:line: reason; empty for nothing."""
    script = starts_script(command)
    if script is None or not script.endswith(".py"):
        return ""
    try:
        ast.parse((directory / script).read_bytes())
    except SyntaxError as error:
        return f"{script}:{error.lineno}: {error.msg}"
    except (OSError, ValueError, RecursionError):
        return ""
    return ""


def _names(tree: ast.Module) -> Iterator[str]:
    """What a module defines or imports at its top, also where that depends on a condition."""
    waiting: list[ast.stmt] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If | ast.Try | ast.With):
            handlers = [each for handler in getattr(node, "handlers", ()) for each in handler.body]
            waiting += [*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ()), *handlers]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _names_port(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == PORT for node in ast.walk(tree))
