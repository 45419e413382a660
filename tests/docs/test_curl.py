"""The request in docs/serving.md, sent to the model of the first application."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.application.starter import write_starter
from tests.runtime.conftest import Server

SERVING = Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_request_of_the_document_gets_the_answer_of_the_document(tmp_path: Path) -> None:
    (command,) = re.findall(r"```bash\n(curl \$ADDRESS.*?)```", SERVING.read_text(), re.DOTALL)
    (answer,) = re.findall(r"```json\n(.*?)```", SERVING.read_text().partition(command)[2], re.DOTALL)[:1]
    server = Server(None, tmp_path, "--name", "wear", "--version", "1", "--model", str(trained(tmp_path)))
    try:
        environment = {**os.environ, "ADDRESS": server.url}
        ended = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, check=True, timeout=30
        )
    finally:
        server.stop()
    got, shown = json.loads(ended.stdout), json.loads(answer)
    data = [[output.pop("data") for output in each["outputs"]] for each in (got, shown)]
    assert got == shown
    assert data[0][0] == data[1][0]
    assert data[0][1] == pytest.approx(data[1][1], abs=1e-4)


def trained(directory: Path) -> Path:
    """The model that the scripts of the first application make."""
    write_starter(directory, "pumps")
    environment = {
        **os.environ,
        "PLIMSOLL_OUTPUT": str(directory),
        "PLIMSOLL_INPUT_MEASUREMENTS": str(directory / "measurements.csv"),
        "PLIMSOLL_INPUT_FEATURES": str(directory),
    }
    for script in ("prepare.py", "train.py"):
        subprocess.run([sys.executable, script], cwd=directory, env=environment, check=True, capture_output=True)
    return directory / "model.onnx"
