"""Rules in Rego: what they say, and that nothing passes because a rule could not be judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plimsoll.application import paths
from plimsoll.errors import FileError, MissingExtra
from plimsoll.policy.findings import Judged
from plimsoll.policy.rego import engine, kept, opa, rules
from plimsoll.policy.rego.engine import RegoEngine
from plimsoll.policy.rego.kept import find_kept
from plimsoll.policy.rego.opa import find_opa
from plimsoll.policy.rego.rules import judge_rules

FINDERS = {"regopy": find_kept, "opa": find_opa}
DOCUMENT = {
    "stage": "plan",
    "steps": [
        {"name": "train/triage", "verb": "train", "workers": 16, "place": "plimsoll.yaml:9:5"},
        {"name": "serve/triage", "verb": "serve", "workers": 1, "place": "plimsoll.yaml:12:5"},
    ],
    "models": [{"reference": "triage@2", "dirty": True}],
}
WORKERS = """\
package plimsoll.size

deny contains {"msg": msg, "where": step.place, "remedy": "use fewer"} if {
    some step in input.steps
    step.verb == "train"
    step.workers > MOST
    msg := sprintf("%s has %d workers", [step.name, step.workers])
}

warn contains msg if {
    some model in input.models
    model.dirty
    msg := sprintf("%s is of code that is in no commit", [model.reference])
}
"""


@pytest.fixture(params=FINDERS)
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RegoEngine:
    found = FINDERS[request.param]()
    if found is None:
        pytest.skip(f"{request.param} is not here")
    monkeypatch.setattr(rules, "ENGINES", {request.param: lambda: found})
    return found


def judged(directory: Path, **files: str) -> list[Judged]:
    place = directory / "rules"
    place.mkdir(exist_ok=True)
    for name, text in files.items():
        (place / f"{name}.rego").write_text(text)
    return list(judge_rules(place, json.dumps(DOCUMENT).encode(), "the plan"))


def test_a_rule_denies_with_its_place_and_remedy_and_another_warns(tmp_path: Path, each_engine: RegoEngine) -> None:
    denied, warned = judged(tmp_path, size=WORKERS.replace("MOST", "8"))
    assert (denied.verdict, denied.reason, denied.where, denied.remedy) == (
        "broken",
        "train/triage has 16 workers",
        "plimsoll.yaml:9:5",
        "use fewer",
    )
    assert (warned.verdict, warned.where) == ("warned", "rules/size.rego:10:1")


def test_rules_that_deny_nothing_pass_and_say_which_were_asked(tmp_path: Path, each_engine: RegoEngine) -> None:
    text = WORKERS.replace("MOST", "99").partition("warn")[0]
    (found,) = judged(tmp_path, size=text)
    assert (found.verdict, found.reason) == ("passed", "plimsoll.size denies nothing")


def test_the_older_form_is_understood(tmp_path: Path, each_engine: RegoEngine) -> None:
    old = 'package plimsoll\n\ndeny[msg] {\n    input.steps[_].workers > 8\n    msg := "too many"\n}\n'
    assert [(each.verdict, each.reason) for each in judged(tmp_path, old=old)] == [("broken", "too many")]


def test_files_of_other_packages_are_there_to_be_imported(tmp_path: Path, each_engine: RegoEngine) -> None:
    helper = "package sizes\n\nmost := 8\n"
    text = 'package plimsoll\n\nimport data.sizes\n\ndeny contains "too many" if {\n    some step in input.steps\n    step.workers > sizes.most\n}\n'
    assert [each.reason for each in judged(tmp_path, helper=helper, own=text)] == ["too many"]


def test_what_is_not_rego_is_refused_with_its_line(tmp_path: Path, each_engine: RegoEngine) -> None:
    with pytest.raises(FileError, match="this is not Rego") as refused:
        judged(tmp_path, own='package plimsoll\n\ndeny contains "x" if {\n    input.stage == = 1\n}\n')
    assert refused.value.where.startswith("rules/own.rego:4:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('package plimsoll\n\ndeny := "no"\n', "is no set"),
        ("package plimsoll\n\ndeny := true\n", "is no set"),
        ("package plimsoll\n\ndeny contains 5\n", "gives what is no message"),
        ('package plimsoll\n\ndeny contains {"message": "x"}\n', "gives what is no message"),
    ],
)
def test_an_answer_that_is_no_message_is_unknown_and_no_pass(
    tmp_path: Path, each_engine: RegoEngine, text: str, reason: str
) -> None:
    (found,) = judged(tmp_path, own=text)
    assert found.verdict == "unknown"
    assert reason in found.reason
    assert found.where == "rules/own.rego:3:1"


@pytest.mark.slow
def test_a_rule_that_does_not_end_is_unknown_with_its_place(
    tmp_path: Path, each_engine: RegoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (engine, kept, opa):
        monkeypatch.setattr(module, "SECONDS", 2.0)
    endless = (
        'package plimsoll.endless\n\ndeny contains "never" if {\n'
        "    n := numbers.range(1, 3000)\n    some a in n\n    some b in n\n    some c in n\n    some d in n\n"
        "    a + b + c + d < 0\n}\n"
    )
    found = judged(tmp_path, endless=endless)
    assert [each.verdict for each in found] == ["unknown"]
    assert found[0].where == "rules/endless.rego:3:1"
    assert "did not end in time" in found[0].reason


def test_the_environment_of_the_caller_is_not_there(
    tmp_path: Path, each_engine: RegoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIMSOLL_SECRET", "hunter2")
    text = 'package plimsoll\n\ndeny contains sprintf("%v", [opa.runtime()]) if true\n'
    try:
        found = judged(tmp_path, own=text)
    except FileError:
        return
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("files", "message", "where"),
    [
        (
            {"own": "package main\n\ndeny contains 1\n"},
            "is in the package main, where nobody asks",
            "rules/own.rego:3:1",
        ),
        ({"own": "package plimsollx\n\ndeny contains 1\n"}, "is in the package plimsollx", "rules/own.rego:3:1"),
        ({"own": "package plimsoll\n\nallow := true\n"}, "no rule is called deny or warn", "rules"),
        ({"own": "deny contains 1\n"}, "says no package", "rules/own.rego:1:1"),
        ({"own_test": "package plimsoll\n\ndeny contains 1\n"}, "there are no rules", "rules"),
        ({}, "there are no rules", "rules"),
    ],
)
def test_rules_that_nobody_would_ask_are_refused(
    tmp_path: Path, files: dict[str, str], message: str, where: str
) -> None:
    with pytest.raises(FileError) as refused:
        judged(tmp_path, **files)
    assert message in refused.value.message
    assert refused.value.where == where


def test_bytes_that_are_no_text_and_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.rego").write_bytes(b"package plimsoll\n\xff\n")
    with pytest.raises(FileError, match="not UTF-8"):
        judged(tmp_path)
    (tmp_path / "rules" / "own.rego").write_bytes(b"package plimsoll\n" + b"#" * (1 << 20))
    with pytest.raises(FileError, match="more than 1048576 bytes"):
        judged(tmp_path)


def test_a_directory_of_far_too_many_files_is_not_searched_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "MOST_ENTRIES", 5)
    for number in range(6):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(FileError, match="there are more than 5 files here"):
        judge_rules(tmp_path, b"{}", "the plan")


def test_without_an_engine_nothing_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ENGINES", {})
    with pytest.raises(MissingExtra, match="needs the extra 'rego'"):
        judged(tmp_path, own=WORKERS)
