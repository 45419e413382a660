"""Assistants in the file: what is refused with its place, and which steps they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.assistant import ASKS_SERVICES
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets: {pages: {source: pages}}
  indexes: {faq: {documents: pages}}
  llms: {writer: {endpoint: {url: 'https://a.test/v1', model: m}, limits: {tokens: 400}}}
  assistants:
    help: {ASSISTANT}
"""
FACTS = TargetFacts(target="local", cpu=2.0, memory=2**30)


def planned(directory: Path, assistant: str) -> list[str]:
    (directory / "pages").mkdir(exist_ok=True)
    (directory / "pages" / "a.md").write_text("# A\n\nb")
    (directory / "q.jsonl").write_text("")
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("ASSISTANT", assistant))
    file = KINDS.load(path)
    KINDS.check(file)
    plan = KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), FACTS)
    return [step.name for step in plan.steps]


@pytest.mark.parametrize(
    ("assistant", "place", "message"),
    [
        ("index: fax, llm: writer", "9:19", "there is no index 'fax'"),
        ("index: faq, llm: writter", "9:29", "there is no language model 'writter'"),
        ("index: faq", "9:5", "no key 'llm'"),
        ("index: faq, llm: writer, tops: 4", "9:37", "unknown key 'tops'"),
        ("index: faq, llm: writer, top: 0", "9:42", "at least 1"),
        ("index: faq, llm: writer, refuse: 35", "9:45", "at most 1"),
        ("index: faq, llm: writer, limits: {time: soon}", "9:52", "expected a duration"),
        ("index: faq, llm: writer, limits: {tokens: 5000}", "9:54", "leaves no room in a context of 4096"),
        ("index: faq, llm: writer, accept: {facts: '>= 0.5'}", "9:37", "there are none"),
        ("index: faq, llm: writer, questions: q.jsonl, accept: {fact: '>= 0.5'}", "9:66", "there is no figure 'fact'"),
        ("index: faq, llm: writer, questions: q.jsonl, accept: {recall@0: '>= 1'}", "9:66", "no figure 'recall@0'"),
        ("index: faq, llm: writer, questions: q.jsonl, accept: {facts: 0.5}", "9:73", "compare with it"),
        ("index: faq, llm: writer, questions: p.jsonl", "9:48", "p.jsonl"),
        ("index: faq, llm: writer, prompt: rules.md", "9:45", "rules.md"),
        ("index: faq, llm: writer, prompt: 'https://a.test/x'", "9:45", "a file beside the application"),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, assistant: str, place: str, message: str) -> None:
    with pytest.raises(FileError) as refused:
        planned(tmp_path, assistant)
    assert message in str(refused.value)
    assert str(refused.value).split(": ")[0].endswith(f"plimsoll.yaml:{place}")


def test_an_assistant_needs_its_index_and_its_language_model_and_has_no_step_of_its_own(tmp_path: Path) -> None:
    steps = planned(tmp_path, "index: faq, llm: writer, questions: q.jsonl, accept: {recall@4: '>= 0.9'}")
    assert set(steps) == {"fetch/pages", "index/faq", "release/faq", "llm/writer"}


SERVED = """\
  services:
    ask: {SERVICE}
"""


def served(directory: Path, service: str, *, name: str = "help") -> list[str]:
    assistant = "index: faq, llm: writer}\n" + SERVED.replace("{SERVICE}", "{" + service)
    text = FILE.replace("help:", f"{name}:")
    (directory / "pages").mkdir(exist_ok=True)
    (directory / "pages" / "a.md").write_text("# A\n\nb")
    path = directory / "plimsoll.yaml"
    path.write_text(text.replace("ASSISTANT}", assistant.rstrip() + "}"))
    file = KINDS.load(path)
    KINDS.check(file)
    return [step.name for step in KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), FACTS).steps]


def test_a_service_of_an_assistant_comes_after_its_index_and_its_language_model(tmp_path: Path) -> None:
    steps = served(tmp_path, "assistant: help")
    assert set(steps) == {"fetch/pages", "index/faq", "release/faq", "llm/writer", "serve/ask"}
    assert steps[-1] == "serve/ask"


@pytest.mark.parametrize(
    ("service", "name", "place", "message"),
    [
        ("assistant: helper", "help", "11:22", "there is no assistant 'helper'"),
        ("assistant: help, llm: writer", "help", "11:28", "`llm` is not for a service of an assistant"),
        ("assistant: help, sample: {a: {shape: [1]}}", "help", "11:28", "`sample` is not for"),
        ("assistant: writer", "writer", "9:5", "the name of its language model"),
    ],
)
def test_a_mistake_in_a_service_of_one_is_refused_with_its_place(
    tmp_path: Path, service: str, name: str, place: str, message: str
) -> None:
    with pytest.raises(FileError) as refused:
        served(tmp_path, service, name=name)
    assert message in str(refused.value)
    assert str(refused.value).split(": ")[0].endswith(f"plimsoll.yaml:{place}")


CHAT = """\
  services:
    ask: {assistant: help}
    chat: {llm: writer}
"""


def asked(directory: Path, services: str, *lacks: str) -> tuple[list[str], str]:
    """The steps of a plan in their order, and the service whose language model the assistant asks."""
    text = FILE.replace("    help: {ASSISTANT}\n", "    help: {index: faq, llm: writer}\n" + services)
    (directory / "pages").mkdir(exist_ok=True)
    (directory / "pages" / "a.md").write_text("# A\n\nb")
    path = directory / "plimsoll.yaml"
    path.write_text(text)
    file = KINDS.load(path)
    KINDS.check(file)
    facts = TargetFacts(target="t", cpu=2.0, memory=2**30, lacks=dict.fromkeys(lacks, "it does not"))
    plan = KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), facts)
    work = plan.step("serve/ask").work
    assert isinstance(work, Serve)
    assert work.assistant is not None
    return [step.name for step in plan.steps], work.assistant.llm_service


def test_an_assistant_asks_the_service_of_its_language_model_where_services_ask_each_other(tmp_path: Path) -> None:
    steps, service = asked(tmp_path, CHAT)
    assert service == "chat"
    assert steps.index("serve/chat") < steps.index("serve/ask")


def test_an_assistant_has_its_language_model_beside_it_elsewhere_and_without_such_a_service(tmp_path: Path) -> None:
    assert asked(tmp_path, CHAT, ASKS_SERVICES)[1] == ""
    assert asked(tmp_path, "  services: {ask: {assistant: help}}\n")[1] == ""
