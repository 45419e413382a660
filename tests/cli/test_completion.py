"""What the shell completes, and what that costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from plimsoll.cli.examples import EXAMPLES
from plimsoll.cli.main import VERBS, plimsoll

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  parameters: {rate: 0.1, rounds: 3}
  datasets:
    rows: {source: rows.csv}
    clean: {run: python clean.py, inputs: [rows], outputs: [x.csv]}
  models:
    triage: {train: {run: python train.py}}
  services:
    api: {model: triage}
  batches: {backlog: {model: triage, input: clean/x.csv}}
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    (tmp_path / "kubeconfig").write_text("contexts: [{name: production}, {name: staging}]\n")
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    run = tmp_path / ".plimsoll" / "runs" / "20260101-000000-000001"
    run.mkdir(parents=True)
    (run / "journal.jsonl").write_text('{"fact": {"event": "run-planned", "number": 7}}\n')
    named = [{"annotations": {"org.opencontainers.image.ref.name": name}} for name in ("triage:1", "triage:best")]
    registry = tmp_path / ".plimsoll" / "registry"
    registry.mkdir()
    (registry / "index.json").write_text(json.dumps({"manifests": [*named, {"digest": "x"}]}))
    return tmp_path


def completed(*words: str) -> list[str]:
    *before, incomplete = words
    shell = ShellComplete(plimsoll, {}, "plimsoll", "_PLIMSOLL_COMPLETE")
    return [item.value for item in shell.get_completions(list(before), incomplete)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("pre",), ["predict"]),
        (("predict", ""), ["api"]),
        (("rollback", "a"), ["api"]),
        (("models", ""), ["triage", "triage:best", "triage@1"]),
        (("promote", "triage@"), ["triage@1"]),
        (("sweep", ""), ["triage"]),
        (("sweep", "--grid", "r"), ["rate=", "rounds="]),
        (("run", "--set", "ro"), ["rounds="]),
        (("run", "tr"), ["train/triage", "triage"]),
        (("plan", ""), ["api", "backlog", "clean", "fetch/rows", "register/triage", "rows", "run/clean", "score/backlog", "serve/api", "train/triage", "triage"]),
        (("runs", ""), ["20260101-000000-000001", "7"]),
        (("logs", "--run", "7"), ["7"]),
        (("status", "--target", ""), ["local", "production", "staging"]),
        (("check", "--target", "p"), ["production"]),
        (("predict", "-f", "elsewhere/plimsoll.yaml", ""), []),
    ],
)  # fmt: skip
def test_names_are_those_that_there_are(words: tuple[str, ...], names: list[str]) -> None:
    assert completed(*words) == names


@pytest.mark.parametrize("text", ["spec: [1", "- a", "spec: {services: [1, 2]}", "\x00", ""])
def test_a_file_that_cannot_be_read_gives_no_names_and_no_error(directory: Path, text: str) -> None:
    (directory / "plimsoll.yaml").write_text(text)
    (directory / "kubeconfig").write_text(text)
    assert [name for name in completed("predict", "") if name not in {"1", "2"}] == []
    assert completed("plan", "--target", "")[:1] in ([], ["local"])


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys, plimsoll.cli.main as m; from click.shell_completion import ShellComplete\n"
        "s = ShellComplete(m.plimsoll, {}, 'plimsoll', 'C')\n"
        "assert [i.value for i in s.get_completions(['predict'], '')] == ['api']\n"
        "assert s.get_completions([], 'pre') and s.get_completions(['run', '--target'], 'l')\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(ended.stdout.split())
    assert loaded.isdisjoint({"numpy", "msgspec", "jinja2", "httpx2", "ssl", "cryptography", "asyncio", "onnxruntime"})
    assert [name for name in loaded if name.startswith("plimsoll.engine")] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    environment = {**os.environ, "_PLIMSOLL_COMPLETE": f"{shell}_source"}
    ended = subprocess.run(
        [sys.executable, "-m", "plimsoll"], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert "_PLIMSOLL_COMPLETE=" in ended.stdout


def test_every_verb_has_an_example_that_its_command_takes(directory: Path) -> None:
    assert set(EXAMPLES) == set(VERBS)
    (directory / "evidence").mkdir()
    for verb, example in EXAMPLES.items():
        program, word, *arguments = example.partition(" > ")[0].split()
        assert (program, word) == ("plimsoll", verb)
        command = plimsoll.get_command(click.Context(plimsoll), verb)
        assert command is not None
        context = command.make_context(verb, list(arguments))
        if isinstance(command, click.Group):
            word, *arguments = arguments
            context = command.commands[word].make_context(word, arguments)
        assert context.params
        assert example in command.get_help(click.Context(command)).replace("\n", " ")
