"""A target writes to its cluster in one place, which looks first whose an object is."""

from __future__ import annotations

import ast
from pathlib import Path

from plimsoll.targets import kubernetes

ROOT = Path(kubernetes.__file__).parent
WRITES = frozenset({"apply", "create", "patch", "delete"})
ELSEWHERE = {
    "own_objects.py": "the one place",
    "namespace.py": "makes a namespace, and takes its word back when somebody else has made it",
    "cleanup.py": "deletes or leaves the namespace that a run has made, as it was read",
    "leases.py": "takes and gives back the application's leases by their version",
    "scheduling.py": "has the API server look at objects (dry run), and makes none",
    "trust.py": "adds keys to those that are there, in the application's object and by the version that was read",
}


def writers() -> set[str]:
    """Modules that call a method of the API client that writes."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES):
                continue
            on = node.func.value
            name = on.id if isinstance(on, ast.Name) else on.attr if isinstance(on, ast.Attribute) else ""
            if name in ("api", "_api"):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_only_these_modules_write_to_the_cluster_and_each_has_its_reason() -> None:
    assert writers() == set(ELSEWHERE)
