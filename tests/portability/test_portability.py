"""Framework → ONNX → served by a real server → equal to what the original says. `docs/portability.md` has the table."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from .environments import PACKAGES, converted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DOCUMENT = Path(__file__).parents[2] / "docs" / "portability.md"
MODELS: dict[str, dict[str, float]] = {
    "sklearn": {"pipeline": 1e-5, "forest": 1e-5, "support-vectors": 1e-4, "boosted": 1e-5, "text": 1e-5},
    "xgboost": {"classes": 1e-5, "two-classes": 1e-5, "regression": 1e-4},
    "lightgbm": {"classes": 1e-5, "regression": 1e-5},
    "torch": {"layers": 1e-5, "images": 1e-5, "recurrent": 1e-5},
    "jax": {"layers": 1e-5, "images": 1e-5},
    "tensorflow": {"layers": 1e-5, "images": 1e-5},
    "huggingface": {"text": 1e-4, "images": 1e-4},
}
"""The models of each framework, and the largest difference that is called equal."""
DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "int32": "INT32", "object": "BYTES"}


class Served:
    """One server with all models of a framework."""

    def __init__(self, framework: str, directory: Path) -> None:
        self.source = converted(framework)
        repository = directory / "models"
        for name in MODELS[framework]:
            place = repository / name / "1"
            place.parent.mkdir(parents=True)
            place.symlink_to(self.source / name)
        ready = directory / "ready.json"
        argv = [sys.executable, "-m", "plimsoll.runtime.server", "--repository", str(repository)]
        argv += ["--ready-file", str(ready), "--observer", "plimsoll.telemetry.service:watch"]
        self.process = subprocess.Popen(argv)
        deadline = time.monotonic() + 120
        while not ready.exists():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.client = httpx.Client(base_url=json.loads(ready.read_text())["url"], timeout=60)

    def tensors(self, model: str, kind: str) -> dict[str, dict[str, Any]]:
        told: dict[str, dict[str, Any]] = json.loads((self.source / model / f"{kind}.json").read_text())
        return told

    def ask(self, model: str, *, explain: bool) -> dict[str, np.ndarray]:
        inputs = []
        for name, tensor in self.tensors(model, "inputs").items():
            raw = {"name": name, "shape": tensor["shape"], "datatype": DATATYPES[tensor["dtype"]]}
            inputs.append((raw, np.array(tensor["data"], dtype=tensor["dtype"])))
        body, headers = _binary(inputs, {"explain": True} if explain else {})
        answer = self.client.post(f"/v2/models/{model}/infer", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return {
            output["name"]: np.array([np.nan if value is None else value for value in output["data"]]).reshape(
                output["shape"]
            )
            for output in answer.json()["outputs"]
        }

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        assert self.process.wait(20) == 0


def _binary(
    inputs: list[tuple[dict[str, Any], np.ndarray]], parameters: dict[str, Any]
) -> tuple[bytes, dict[str, str]]:
    """A request with numbers in binary, which carries missing values; texts stay in JSON."""
    raw, described = b"", []
    for tensor, array in inputs:
        if tensor["datatype"] == "BYTES":
            described.append({**tensor, "data": array.tolist()})
        else:
            content = array.tobytes()
            described.append({**tensor, "parameters": {"binary_data_size": len(content)}})
            raw += content
    head = json.dumps({"inputs": described, "parameters": parameters}).encode()
    return head + raw, {"Inference-Header-Content-Length": str(len(head))}


@pytest.fixture(scope="module", params=list(MODELS))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Served]]:
    server = Served(request.param, tmp_path_factory.mktemp(request.param))
    yield request.param, server
    server.stop()


def test_every_model_is_served_with_its_originals_predictions(served: tuple[str, Served]) -> None:
    framework, server = served
    for model, tolerance in MODELS[framework].items():
        wanted = server.tensors(model, "outputs")
        given = server.ask(model, explain="contributions" in wanted)
        assert set(wanted) <= set(given), (model, list(given))
        for name, tensor in wanted.items():
            array = np.array(tensor["data"]).reshape(tensor["shape"])
            largest = 1e-4 if name.startswith("contributions") else tolerance
            np.testing.assert_allclose(
                given[name].reshape(array.shape),
                array,
                rtol=largest,
                atol=largest,
                err_msg=f"{framework} {model} {name}",
            )


def test_what_cannot_be_converted_is_said(served: tuple[str, Served]) -> None:
    framework, server = served
    path = server.source / "refused.json"
    refused = json.loads(path.read_text()) if path.exists() else {}
    text = DOCUMENT.read_text()
    for what, reason in refused.items():
        assert what in text, f"{framework}: {what} ({reason}) is not in docs/portability.md"


def test_the_table_names_every_model_and_the_versions_it_was_tested_with() -> None:
    text = DOCUMENT.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for framework, packages in PACKAGES.items():
        for package in packages:
            if "==" in package:
                assert package.replace("==", " ") in text, package
        for model in MODELS[framework]:
            assert any(f"`{framework}/{model}`" in row for row in rows), f"{framework}/{model}"
