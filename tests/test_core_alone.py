"""`pip install plimsoll` without extras: what plans, runs and renders must load, here and on a cluster.

What needs an extra is loaded where it is used, after `plan` has said which extra is missing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OF_EXTRAS = (
    "plimsoll.runtime.",
    "plimsoll.telemetry.",
    "plimsoll.application.starter_files.",
    "plimsoll.edge.delta_making",
    "plimsoll.edge.drifting",
    "plimsoll.edge.sent_lines",
    "plimsoll.engine.sweep.optuna_adviser",
    "plimsoll.indexes.native",
    "plimsoll.llms.exchange",
    "plimsoll.screens.",
    "plimsoll.stores.postgres.",
    "plimsoll.stores.qdrant.",
    "plimsoll.stores.weaviate.",
    "plimsoll.stores.milvus.",
)
"""The modules that only a server, a scorer or a builder loads."""
IN_PLANS = ("plimsoll.telemetry.alerts", "plimsoll.telemetry.catalogue", "plimsoll.telemetry.dashboard")
PLANNED = (".kind ", ".kinds ")
"""How the modules end that are asked before anything starts."""
LOAD_ALL = """
import importlib, pkgutil, re, sys, tomllib
from importlib.metadata import packages_distributions

def name(requirement):
    return re.split(r"[\\[<>=;~! ]", requirement)[0].lower().replace("_", "-")

project = tomllib.load(open(sys.argv[1], "rb"))["project"]
core = {name(each) for each in project["dependencies"]}
extras = {name(each) for part in project["optional-dependencies"].values() for each in part} - core
missing = {m for m, found in packages_distributions().items() if any(d.lower().replace("_", "-") in extras for d in found)}
assert {"numpy", "prometheus_client", "onnxruntime"} <= missing

class WithoutExtras:
    def find_spec(self, module, path=None, target=None):
        if module.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named '{module}'", name=module)

sys.meta_path.insert(0, WithoutExtras())
import plimsoll
for found in pkgutil.walk_packages(plimsoll.__path__, "plimsoll.", onerror=lambda module: print(module)):
    if found.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(found.name)
    except Exception as error:
        print(found.name, repr(error)[:80])
"""


def test_only_what_serves_scores_and_builds_needs_an_extra() -> None:
    command = [sys.executable, "-c", LOAD_ALL, str(ROOT / "pyproject.toml")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert any(line.startswith("plimsoll.telemetry.service ") for line in lines), "nothing was missing"
    needed = [line for line in lines if line.startswith(IN_PLANS) or any(each in line for each in PLANNED)]
    assert [line for line in lines if not line.startswith(OF_EXTRAS)] + needed == []
