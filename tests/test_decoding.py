"""Decoding from several threads at once, and that every Struct that is decoded is ready for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import plimsoll

SOURCE = Path(plimsoll.__file__).parent
CROWD = """
import json, sys, threading
sys.setswitchinterval(1e-6)
from plimsoll.kubernetes.api import Api, Manifest
class Client:
    def request(self, method, path, **_): return Answer()
class Answer:
    status_code = 200
    content = json.dumps({
        "items": [{"kind": "Pod"}],
        "metadata": {"continue": ""},
        "resources": [{"kind": "Pod", "name": "pods", "namespaced": True}],
    }).encode()
api = object.__new__(Api)
api._client, api._kinds, api._lock, api._reached, api._hasty = Client(), {}, threading.Lock(), True, False
api.server = "https://example"
together, found = threading.Barrier(8), []
def look():
    together.wait()
    found.append(api.list("v1", "Pod"))
threads = [threading.Thread(target=look) for _ in range(8)]
[each.start() for each in threads], [each.join() for each in threads]
assert found == [[{"kind": "Pod"}]] * 8, found
"""


@pytest.mark.slow
def test_a_crowd_of_threads_decodes_its_first_lists_together() -> None:
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_struct_that_is_decoded_is_made_known_when_its_module_is_imported() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    structs = {each.name for each in classes if any("Struct" in ast.unparse(base) for base in each.bases)}
    ready = {each.name for each in classes if "decodable" in map(ast.unparse, each.decorator_list)}
    decoded = {name for node in nodes if isinstance(node, ast.Call) for name in _decoded(node)} & structs
    assert len(decoded) > 15, "what decodes is not recognized any more"
    assert decoded <= ready, f"these want @decodable: {decoded - ready}"


def _decoded(call: ast.Call) -> Iterator[str]:
    """Names in the type that a call decodes into."""
    does = ast.unparse(call.func)
    types = [each.value for each in call.keywords if each.arg in ("type", "shape")]
    types += call.args[1:2] if does == "msgspec.convert" else []
    if does.endswith(("json.decode", "msgspec.convert", ".request")):
        for node in (node for each in types for node in ast.walk(each)):
            yield node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
