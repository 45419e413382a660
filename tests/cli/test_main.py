from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from plimsoll.cli.examples import EXAMPLES
from plimsoll.cli.main import SECTIONS, VERBS
from plimsoll.cli.verbs import plan

from .conftest import Plimsoll, answer, write

GROUPS = {"audit", "edge", "encryption", "image", "key", "policy", "tenant", "token"}
"""Verbs that have verbs of their own."""


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(plimsoll: Plimsoll, verb: str) -> None:
    ended = plimsoll(*EXAMPLES[verb].split()[1:3], "--help") if verb in GROUPS else plimsoll(verb, "--help")
    assert ended.returncode == 0
    assert "--json" in ended.stdout


def test_plimsoll_alone_lists_its_verbs_by_purpose(plimsoll: Plimsoll) -> None:
    ended = plimsoll()
    assert ended.returncode == 0
    assert ended.stdout == plimsoll("--help").stdout
    titles = [line.removesuffix(":") for line in ended.stdout.splitlines() if line and not line.startswith(" ")]
    assert titles[2:] == list(SECTIONS)
    listed = [
        line.split()[0] for line in ended.stdout.partition("Run applications:")[2].splitlines() if line[2:3].strip()
    ]
    assert [word for word in listed if word in VERBS] == list(VERBS)


def test_a_misspelt_verb_is_told_what_was_meant(plimsoll: Plimsoll) -> None:
    ended = plimsoll("modles")
    assert ended.returncode == 2
    assert "Did you mean 'models'?" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("run",), ("plan",), ("status",), ("models",), ("predict", "m", "--input", "x")])
def test_errors_are_one_json_object_with_three_keys(plimsoll: Plimsoll, arguments: tuple[str, ...]) -> None:
    ended = plimsoll(*arguments, "--json")
    assert ended.returncode == 2
    assert set(answer(ended)["error"]) == {"message", "where", "hint"}
    assert ended.stderr == ""


def test_a_mistake_in_the_file_gives_its_place_and_exit_2(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, "  datasets:\n    a: {rum: x, outputs: [y]}\n")
    ended = plimsoll("run")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: plimsoll.yaml:6:9: unknown key 'rum'\n  did you mean 'run'?")


@pytest.mark.slow
def test_a_target_that_this_version_cannot_use_is_refused(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, "  datasets:\n    a: {run: x, outputs: [y]}\n")
    assert plimsoll("run", "--target", "production").returncode == 2


def test_the_schema_is_a_schema(plimsoll: Plimsoll) -> None:
    schema = json.loads(plimsoll("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert answer(plimsoll("schema", "--json")) == schema


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    ended = subprocess.run(
        f"{sys.executable} -m plimsoll schema | head -1", shell=True, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""


def test_start_up_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv=['plimsoll','--help']\nfrom plimsoll.cli.main import plimsoll, main\n"
    code += "try:\n main()\nexcept SystemExit:\n print(*sorted(sys.modules), file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    assert loaded.isdisjoint({"yaml", "jinja2", "numpy", "onnxruntime", "securesystemslib", "asyncio", "http.client"})


@pytest.mark.parametrize(("ignored", "status"), [(False, 130), (True, 0)])
def test_ctrl_c_before_all_is_imported_ends_it_without_a_traceback(ignored: bool, status: int) -> None:
    code = "import os, signal, sys\n"
    code += "class Interrupting:\n def find_spec(self, name, *_):\n"
    code += "  name == 'click.core' and os.kill(os.getpid(), signal.SIGINT)\n"
    code += "sys.meta_path.insert(0, Interrupting())\nsys.argv = ['plimsoll', '--version']\n"
    code += "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if ignored else ""
    code += "from plimsoll.cli.start import main\nmain()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (status, "")


def test_a_plan_notes_a_command_whose_code_is_not_found(tmp_path: Path) -> None:
    write(tmp_path, "  datasets:\n    a: {run: trainer --fast, outputs: [y]}\n    b: {run: echo 1, outputs: [y]}\n")
    printed = CliRunner().invoke(plan.command, ["-f", str(tmp_path / "plimsoll.yaml")]).output
    assert "note    run/a: no script or module of it was found here" in printed
    assert "note    run/b" not in printed
    printed = CliRunner().invoke(plan.command, ["-f", str(tmp_path / "plimsoll.yaml"), "--json"]).output
    assert [bool(step["note"]) for step in json.loads(printed)["steps"]] == [True, False]


def test_planning_for_this_machine_imports_no_network_libraries(tmp_path: Path) -> None:
    """They take longer to import than planning takes."""
    write(tmp_path, "  datasets:\n    a: {run: echo, outputs: [y]}\n")
    code = "import sys; sys.argv = ['plimsoll', 'plan']; from plimsoll.cli.main import main\n"
    code += "try:\n main()\nexcept SystemExit:\n print(*sorted(sys.modules), file=sys.stderr)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    imported = set(ended.stderr.split())
    assert "plimsoll.targets.local.target" in imported
    assert imported & {"ssl", "http.client", "httpx2", "numpy", "onnxruntime", "jinja2"} == set()
