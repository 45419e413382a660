"""New versions that take over from one another under load: `plimsoll up`, then `plimsoll run` while requests arrive.

2,000 requests a second are due, whether the server keeps up or not, and every request that is not answered with 200 is
counted. Beside it the same load is measured without any take-over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import PLIMSOLL, ROOT, users_environment, verdict

RATE = 2000
CONNECTIONS = 16
VERSIONS = 3
SPEC = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {{name: daily}}
spec:
  models:
    m:
      train: {{run: "{python} train.py", code: [train.py, size.txt]}}
      accept: {{accuracy: ">= 0.5"}}
  services:
    m: {{model: m}}
"""
TRAIN = """\
import json, os, pathlib, numpy, onnx
from onnx import TensorProto, helper, numpy_helper
factor = float(pathlib.Path("size.txt").read_text())
info = helper.make_tensor_value_info
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
    [info("x", TensorProto.FLOAT, [None, 20])], [info("y", TensorProto.FLOAT, [None, 1])],
    [numpy_helper.from_array(numpy.full((20, 1), factor, numpy.float32), "w")])
out = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), out / "model.onnx")
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.9}))
"""


class Application:
    """An application in a directory of its own, with keys of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {**users_environment(), "XDG_CONFIG_HOME": str(directory / ".config")}
        (directory / "plimsoll.yaml").write_text(SPEC.format(python=sys.executable))
        (directory / "train.py").write_text(TRAIN)
        self.change(1)

    def change(self, version: int) -> None:
        (self.directory / "size.txt").write_text(str(version))

    def plimsoll(self, *arguments: str) -> Any:
        argv = [*PLIMSOLL, *arguments, "--json"]
        ended = subprocess.run(
            argv, cwd=self.directory, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )
        if ended.returncode != 0:
            sys.exit(f"{' '.join(argv)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return json.loads(ended.stdout.splitlines()[-1])


def main(options: Sequence[str]) -> bool:
    """Print the figures; true when no request failed."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-daily-") as scratch:
        application = Application(Path(scratch))
        url = application.plimsoll("up")["services"]["m"]["url"]
        try:
            return _measure(application, url)
        finally:
            application.plimsoll("down")


def _measure(application: Application, url: str) -> bool:
    alone = _load(url, application.directory, 5.0).communicate()[0]
    _print("without a take-over", json.loads(alone))
    load = _load(url, application.directory, 0.0, until=application.directory / "done")
    moved = []
    try:
        for version in range(2, VERSIONS + 2):
            application.change(version)
            moved += [each for each in application.plimsoll("run")["taken_over"] if each["moved"]]
            time.sleep(1.0)
    finally:
        (application.directory / "done").touch()
        told = load.communicate(timeout=60)[0]
    got = json.loads(told)
    _print(f"with {len(moved)} take-overs and the trainings before them", got)
    if len(moved) != VERSIONS:
        sys.exit(f"{VERSIONS - len(moved)} versions did not take over")
    return verdict("failed requests while versions take over", got["failed"], 0, "")


def _load(url: str, directory: Path, seconds: float, until: Path | None = None) -> subprocess.Popen[str]:
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 20], "data": [0.5] * 20}]}).encode()
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    file = directory / "request"
    file.write_bytes(head + body)
    argv = [sys.executable, "-m", "benchmarks.daily.take_over", url, str(file), str(seconds), str(until or "")]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=users_environment())


def _print(what: str, got: dict[str, Any]) -> None:
    rate = got["requests"] / got["seconds"]
    print(
        f"    {what}: {got['requests']} answered, {rate:.0f} a second of {RATE} that were due,"
        f" p50 {got['p50'] * 1000:.1f} ms, p99 {got['p99'] * 1000:.1f} ms,"
        f" failed {got['failed']} {got['failures'] or ''}",
        flush=True,
    )


def _generate(url: str, file: str, seconds: float, until: str) -> None:
    """The load generator's process: for some seconds, or until a file is there."""
    from benchmarks.load import load

    total: dict[str, Any] = {"requests": 0, "failed": 0, "failures": {}, "seconds": 0.0, "p50": 0.0, "p99": 0.0}
    while True:
        got: dict[str, Any] = load(url, Path(file).read_bytes(), CONNECTIONS, seconds or 2.0, RATE)
        for name in ("requests", "failed", "seconds"):
            total[name] += got[name]
        for kind, number in got["failures"].items():
            total["failures"][kind] = total["failures"].get(kind, 0) + number
        for name in ("p50", "p99"):
            total[name] = max(total[name], got.get(name, 0.0))
        if not until or os.path.exists(until):  # noqa: PTH110 - the loop of the load is kept lean
            break
    print(json.dumps(total))


if __name__ == "__main__":
    _generate(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
