"""The example's training by two workers with JAX, on a tiny model: killed, gone on with, and served by llama.cpp."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.llms.tiny import tiny_model
from tests.runtime.conftest import until

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")
pytestmark = [pytest.mark.series, pytest.mark.timeout(1200)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "tune"
FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tuning}
spec:
  environment: {requirements: requirements.txt}
  parameters: {steps: 200, rank: 8, layers: 4, rate: 0.02, tokens: 64}
  datasets: {pairs: {source: pairs}}
  models:
    small: {source: tiny.gguf}
    quoting:
      kind: adapter
      base: small
      train: {run: python lora.py, inputs: [pairs], framework: jax, workers: 2, retries: 3}
      accept: {validation: "< 1"}
  llms:
    plain: {model: small, context: 256, slots: 1, adapters: [quoting]}
  services:
    chat: {llm: plain}
"""
ASKED = [{"role": "user", "content": "what is it?"}]
ANSWER = "wxyzabcd"


def made(directory: Path) -> Path:
    directory.mkdir()
    for name in ("lora.py", "llama.py", "tokens.py", "requirements.txt"):
        shutil.copy(EXAMPLE / name, directory)
    tiny_model(directory / "tiny.gguf")
    (directory / "pairs").mkdir()
    line = json.dumps({"messages": ASKED, "answer": ANSWER})
    (directory / "pairs" / "pairs.jsonl").write_text(f"{line}\n" * 12)
    (directory / "plimsoll.yaml").write_text(FILE)
    return directory


def begun(directory: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "XDG_CONFIG_HOME": str(directory.parent / "config")}
    argv = [sys.executable, "-m", "plimsoll", *words]
    return subprocess.Popen(argv, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> Any:  # Any: JSON
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return said


def workers_of(directory: Path) -> list[int]:
    """The processes of a training, that of rank 1 last."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"lora.py" in words and any(str(directory).encode() in each for each in variables):
            rank = next((each for each in variables if each.startswith(b"JAX_PROCESS_ID=")), b"")
            found[rank] = int(entry.name)
    return [found[rank] for rank in sorted(found)]


def adapter_of(directory: Path) -> bytes:
    (path,) = directory.glob(".plimsoll/latest/train/quoting/adapter.gguf")
    return path.read_bytes()


def says(url: str, model: str) -> str:
    body = {"model": model, "messages": ASKED, "temperature": 0, "max_tokens": len(ANSWER)}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=100) as response:
        return str(json.loads(response.read())["choices"][0]["message"]["content"])


def test_a_killed_training_comes_to_the_same_adapter_and_llama_cpp_says_what_it_has_learnt(tmp_path: Path) -> None:
    calm, killed = made(tmp_path / "calm"), made(tmp_path / "killed")
    told = json.loads(ended(begun(calm, "run", "llm/plain", "--json")))
    assert told["models"]["quoting"]["base"] == "small@1"
    metrics = told["models"]["quoting"]["metrics"]
    assert metrics["validation"] < 1 < metrics["validation_before"], "the tiny model cannot end an answer: that is left"

    process = begun(killed, "run", "llm/plain", "--json")
    deadline = time.monotonic() + 600
    while not list(killed.glob(".plimsoll/**/*.npz")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(workers_of(killed)[-1], signal.SIGKILL)
    steps = json.loads(ended(process))["steps"]
    assert next(step["attempts"] for step in steps if step["name"] == "train/quoting") == 2
    (log,) = killed.glob(".plimsoll/runs/*/logs/train/quoting/2-0.log")
    assert "going on after step" in log.read_text()
    assert adapter_of(killed) == adapter_of(calm)
    first, second = ((each / ".plimsoll/latest/train/quoting/metrics.jsonl").read_text() for each in (calm, killed))
    assert first == second

    ended(begun(calm, "up"))
    try:
        announced = calm / ".plimsoll" / "services" / "chat.json"
        until(announced.exists)
        url = json.loads(announced.read_bytes())["url"]
        assert says(url, "quoting") == ANSWER
        assert says(url, "plain") != ANSWER
    finally:
        ended(begun(calm, "down"))
