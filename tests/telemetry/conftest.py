from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.runtime.conftest import Server, linear_model

DIGEST = "sha256:" + "ab" * 32


class Watched(Server):
    """A real server of a model with two features, `left` and `right`, and all telemetry."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        model = linear_model(directory / "model.onnx")
        random = np.random.default_rng(0)
        with (directory / "train.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["left", "right", "label"])
            writer.writerows([*row, 0] for row in random.normal(size=(3000, 2)).round(6).tolist())
        argv = [sys.executable, "-m", "plimsoll.telemetry.drift.build_reference", "--model", str(model), "--name", "m"]
        argv += [
            "--digest",
            DIGEST,
            "--table",
            str(directory / "train.csv"),
            "--output",
            str(directory / "reference.json"),
        ]
        subprocess.run(argv, check=True, capture_output=True)
        settings = {
            "service": "triage",
            "access_log": str(directory / "access.jsonl"),
            "audit_log": str(directory / "audit.jsonl"),
            "drift": [
                {
                    "reference": str(directory / "reference.json"),
                    "version": "3",
                    "state": str(directory / "state.json"),
                    "log": str(directory / "drift.jsonl"),
                    "promised": 0.9,
                }
            ],
        }
        observer = f"plimsoll.telemetry.service:watch={json.dumps(settings)}"
        super().__init__(model, directory, "--digest", DIGEST, "--observer", observer)

    def infer(
        self, rows: list[list[float]], *, headers: dict[str, str] | None = None, **more: object
    ) -> httpx.Response:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(rows), 2], "data": rows}], **more}
        return self.client.post("/v2/models/m/infer", json=body, headers=headers)

    def drift(self) -> dict[str, Any]:
        """The drift state of the only served version."""
        (state,) = self.client.get("/v2/drift").json()["versions"]
        told: dict[str, Any] = state
        return told

    def lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.directory / name).read_text().splitlines()]


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    server = Watched(tmp_path_factory.mktemp("watched"))
    yield server
    assert server.stop() == 0
