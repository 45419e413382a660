"""From an alert to a contained service: `plimsoll quarantine` against the way by hand that docs/audit.md describes.

Contained is a service whose bad version answers neither the requests of everybody nor those that name it, and of which
there is signed evidence. The machine's time alone is counted: what people read and type comes on top by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.measuring import verdict

LIMIT = 50.0
"""Percent of the time by hand."""
TRAIN = """\
import json, os, pathlib, numpy, onnx
from onnx import TensorProto, helper, numpy_helper
rows = int(pathlib.Path("rows.txt").read_text())
info = helper.make_tensor_value_info
nodes = [helper.make_node("Gather", ["table", "i"], ["y"])]
table = numpy_helper.from_array(numpy.arange(rows, dtype=numpy.float32), "table")
takes, gives = info("i", TensorProto.INT64, [None]), info("y", TensorProto.FLOAT, [None])
graph = helper.make_graph(nodes, "g", [takes], [gives], [table])
out = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), out / "model.onnx")
(out / "metrics.json").write_text(json.dumps({"rows": rows}))
"""
EVIDENCE = (".plimsoll/logs/m", ".plimsoll/services/m", ".plimsoll/moves.jsonl", "plimsoll.yaml")
REGISTRY = ".plimsoll/registry"


def measure(rounds: int) -> bool:
    """Each way in turn, in directories of its own."""
    print("trust: a bad version leads; from the alert to a contained service with signed evidence")
    ways = {"quarantine": _quarantined, "by hand": _by_hand}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, act in ways.items():
            with tempfile.TemporaryDirectory() as directory:
                seconds[name].append(_contained(Place(Path(directory)), act))
    for name, each in seconds.items():
        print(f"    {name:12} {median(each):6.1f} s")
    share = 100 * median(seconds["quarantine"]) / median(seconds["by hand"])
    return verdict("time to a contained service, of that by hand", share, LIMIT, "%")


class Place:
    """An application with a service that is up, its second version leading."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        (directory / "train.py").write_text(TRAIN)
        (directory / "plimsoll.yaml").write_text(
            "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: drill}\nspec:\n"
            f"  models: {{m: {{train: {{run: {sys.executable} train.py, code: [rows.txt, train.py]}}}}}}\n"
            f"  services: {{m: {{model: m, port: {self.port}, telemetry: {{audit: true}}}}}}\n"
        )

    def run(self, *words: str) -> str:
        """A command of whoever is on call. Raises SystemExit where it fails."""
        environment = {**os.environ, "XDG_CONFIG_HOME": str(self.directory / ".config")}
        ended = subprocess.run(words, cwd=self.directory, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"{' '.join(words)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def plimsoll(self, *words: str) -> str:
        """The same, of Plimsoll."""
        return self.run(sys.executable, "-m", "plimsoll", *words)

    def answered(self, version: str = "") -> str:
        """Which version answers a request; empty where it is refused."""
        tensor = {"name": "i", "datatype": "INT64", "shape": [1], "data": [1]}
        path = f"/v2/models/m{f'/versions/{version}' if version else ''}/infer"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps({"inputs": [tensor]}).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(json.loads(answer.read())["model_version"])
        except urllib.error.HTTPError:
            return ""


def _contained(place: Place, act: Callable[[Place], None]) -> float:
    for rows in (10, 11):
        (place.directory / "rows.txt").write_text(str(rows))
        place.plimsoll("run")
        if rows == 10:
            place.plimsoll("up")
    try:
        if place.answered() != "2":
            raise SystemExit("the second version does not lead")
        began = time.monotonic()
        act(place)
        seconds = time.monotonic() - began
        if place.answered() != "1" or place.answered("2"):
            raise SystemExit(f"{act.__name__}: requests still reach the bad version")
    finally:
        place.plimsoll("down")
    return seconds


def _quarantined(place: Place) -> None:
    place.plimsoll("quarantine", "m", "--reason", "a drill")


def _by_hand(place: Place) -> None:
    place.plimsoll("status")
    place.plimsoll("rollback", "m", "--to", "m@1")
    evidence = place.directory / "evidence"
    for name in (*EVIDENCE, REGISTRY):
        source, copy = place.directory / name, evidence / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=lambda _, names: [each for each in names if each.endswith(".sock")])
        elif source.exists():
            shutil.copy2(source, copy)
    place.run("sh", "-c", "cd evidence && find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS")
    place.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", ".config/drill.pem")
    place.run(
        "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", ".config/drill.pem",
        "-in", "evidence/SHA256SUMS", "-out", "evidence/SHA256SUMS.sig",
    )  # fmt: skip
    place.plimsoll("down")
    place.plimsoll("models", "m@2", "--delete")
    place.plimsoll("up")
