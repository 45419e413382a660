from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from plimsoll.application.workspace import Workspace
from plimsoll.errors import FileError, TargetError
from plimsoll.kinds.table import KINDS
from plimsoll.planning.changes import decisions
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.planner import keys_by_name

APPLICATION = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  datasets:
    orders: {source: orders.csv}
    features: {run: python prepare.py --fast, inputs: [orders], outputs: [train.csv]}
    other: {run: echo 1 > $PLIMSOLL_OUTPUT/x, outputs: [x], code: ["settings/*.toml"]}
  models:
    triage: {train: {run: python -m jobs.train, inputs: [features], workers: 2}, accept: {accuracy: "> 0.5"}}
  services: {triage: {model: triage}}
"""
FACTS = TargetFacts(target="local", cpu=2.0, memory=2**30)
Keys = Callable[[], dict[str, str]]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    for name, text in {
        "plimsoll.yaml": APPLICATION,
        "orders.csv": "a\n",
        "prepare.py": "import helpers.text\n",
        "helpers/text.py": "x = 1\n",
        "jobs/__init__.py": "",
        "jobs/train.py": "from . import model\n",
        "jobs/model.py": "y = 1\n",
        "settings/a.toml": "a = 1\n",
        "unrelated.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def keys() -> dict[str, str]:
        file = KINDS.load(tmp_path / "plimsoll.yaml")
        KINDS.check(file)
        return dict(keys_by_name(KINDS.plan(file, KINDS.workspace(file, tmp_path / "digests.json"), FACTS)))

    return keys


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("orders.csv", {"fetch/orders", "run/features", "train/triage", "register/triage", "serve/triage"}),
        ("prepare.py", {"run/features", "train/triage", "register/triage", "serve/triage"}),
        ("helpers/text.py", {"run/features", "train/triage", "register/triage", "serve/triage"}),
        ("jobs/train.py", {"train/triage", "register/triage", "serve/triage"}),
        ("jobs/model.py", {"train/triage", "register/triage", "serve/triage"}),
        ("settings/a.toml", {"run/other"}),
        ("unrelated.py", set()),
    ],
)
def test_a_changed_file_changes_the_keys_of_what_depends_on_it_and_no_others(
    keys: Keys, tmp_path: Path, file: str, changed: set[str]
) -> None:
    before = keys()
    with (tmp_path / file).open("a") as appended:
        appended.write("# changed\n")
    after = keys()
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("--fast", "--slow", {"run/features", "train/triage", "register/triage", "serve/triage"}),
        ("workers: 2", "workers: 1", {"train/triage", "register/triage", "serve/triage"}),
        ("> 0.5", "> 0.6", {"register/triage", "serve/triage"}),
        ("{model: triage}", "{model: triage, sample: {x: {shape: [1, 3]}}}", {"serve/triage"}),
        ("{model: triage}", "{model: triage, sample: {}}", set()),
        ("workers: 2", "workers: 2, retries: 4", set()),
        ("workers: 2", "workers: 2, resources: {cpu: 1}", set()),
    ],
)
def test_a_changed_setting_changes_a_key_only_where_it_can_change_a_result(
    keys: Keys, tmp_path: Path, old: str, new: str, changed: set[str]
) -> None:
    before = keys()
    (tmp_path / "plimsoll.yaml").write_text(APPLICATION.replace(old, new))
    after = keys()
    assert {name for name in before if before[name] != after[name]} == changed


def test_the_same_files_give_the_same_keys_with_and_without_the_memory(keys: Keys, tmp_path: Path) -> None:
    before = keys()
    assert keys() == before
    (tmp_path / "digests.json").write_text("broken")
    assert keys() == before


def test_a_code_pattern_that_matches_nothing_is_refused(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text(APPLICATION.replace("settings/*.toml", "setings/*.toml"))
    with pytest.raises(FileError, match="matches no file"):
        keys()


def test_a_command_without_code_is_noted_in_the_plan_unless_it_names_its_code(keys: Keys, tmp_path: Path) -> None:
    for code, noted in (("", True), (", code: [prepare.py]", False)):
        text = APPLICATION.replace("run: echo 1 > $PLIMSOLL_OUTPUT/x", "run: trainer --fast")
        (tmp_path / "plimsoll.yaml").write_text(text.replace(', code: ["settings/*.toml"]', code))
        file = KINDS.load(tmp_path / "plimsoll.yaml")
        planned = KINDS.plan(file, KINDS.workspace(file, tmp_path / "digests.json"), FACTS)
        assert ("run/other" in planned.notes) is noted
        assert set(planned.notes) <= {"run/other"}


def test_a_script_that_python_cannot_parse_is_still_followed_by_content(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "prepare.py").write_text("def broken(:\n")
    before = keys()
    (tmp_path / "prepare.py").write_text("def broken(::\n")
    assert keys()["run/features"] != before["run/features"]


def test_what_lies_at_an_address_is_known_by_its_entity_tag(tmp_path: Path) -> None:
    tags = ["one"]

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("ETag", tags[0])
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = APPLICATION.replace("orders.csv", f"http://127.0.0.1:{server.server_port}/orders.csv")
        for name in ("prepare.py", "settings/a.toml"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("")
        (tmp_path / "plimsoll.yaml").write_text(text)
        file = KINDS.load(tmp_path / "plimsoll.yaml")

        def workspace() -> Workspace:
            return KINDS.workspace(file, tmp_path / "digests.json")

        first = workspace().sources
        assert workspace().sources == first
        tags[0] = "two"
        assert workspace().sources != first
        server.shutdown()
    with pytest.raises(TargetError, match="does not answer"):
        KINDS.workspace(file, tmp_path / "digests.json")


def test_the_plan_says_why_a_step_would_run(keys: Keys, tmp_path: Path) -> None:
    keys()
    file = KINDS.load(tmp_path / "plimsoll.yaml")
    old = KINDS.plan(file, KINDS.workspace(file, tmp_path / "d"), FACTS)
    (tmp_path / "prepare.py").write_text("changed = 1\n")
    (tmp_path / "orders.csv").write_text("changed\n")
    new = KINDS.plan(file, KINDS.workspace(file, tmp_path / "d"), FACTS)
    made = {one.step: one for one in decisions(new, {step.name: step.ingredients for step in old.steps}, ["run/other"])}
    assert made["fetch/orders"].why == "data changed: orders"
    assert "code changed: prepare.py" in made["run/features"].why
    assert "helpers/text.py is no longer used" in made["run/features"].why
    assert not made["run/other"].runs
    assert made["train/triage"].why == "input changed: features"
