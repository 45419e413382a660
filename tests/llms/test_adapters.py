"""An adapter from the file to an answer: trained, registered, served by its name, and refused beside another model."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.llms.tiny import tiny_adapter, tiny_model
from tests.runtime.conftest import until

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: adapted}
spec:
  datasets: {made: {source: made}}
  models:
    small: {source: tiny.gguf}
    style: {kind: adapter, base: small, train: {run: "cp made/style.gguf $PLIMSOLL_OUTPUT/adapter.gguf", inputs: [made]}}
    nothing: {kind: adapter, base: small, source: made/nothing.gguf}
  llms:
    writer: {model: small, context: 256, slots: 1, adapters: [style, nothing], limits: {tokens: 16}}
  services:
    chat: {llm: writer}
"""


def plimsoll(directory: Path, *words: str, status: int = 0) -> str:
    argv = [sys.executable, "-m", "plimsoll", *words]
    ran = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "made").mkdir()
    tiny_model(tmp_path / "tiny.gguf")
    tiny_adapter(tmp_path / "made" / "style.gguf")
    tiny_adapter(tmp_path / "made" / "nothing.gguf", strength=0.0)
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    yield tmp_path
    plimsoll(tmp_path, "down")


def test_an_adapter_is_a_model_of_the_api_and_one_of_zeros_changes_nothing(application: Path) -> None:
    result = json.loads(plimsoll(application, "run", "llm/writer", "--json").splitlines()[0])
    assert result["llms"]["writer"]["adapters"] == ["style@1", "nothing@1"]
    assert result["models"]["style"]["base"] == "small@1"
    shown = plimsoll(application, "models", "style@1")
    assert "adapter of   small@1" in shown
    assert "llama, LoRA of rank 4 on 2 tensors" in shown

    plimsoll(application, "up")
    announced = application / ".plimsoll" / "services" / "chat.json"
    until(announced.exists)
    url = json.loads(announced.read_bytes())["url"]

    def says(model: str) -> str:
        body = {"model": model, "prompt": "hi", "temperature": 0, "max_tokens": 12}
        request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=100) as response:
            return str(json.loads(response.read())["choices"][0]["text"])

    assert says("nothing") == says("writer") != says("style")


def test_an_adapter_that_does_not_fit_ends_the_run_with_a_sentence(application: Path) -> None:
    tiny_adapter(application / "made" / "style.gguf", wide=48)
    said = plimsoll(application, "run", status=1)
    assert "as if it were 48 × 48, and the model's is 32 × 32 (small@1)" in said
    assert "Traceback" not in said
