"""`plimsoll ask` and `plimsoll eval`: from documents to an answer with its sources, and to figures."""

from __future__ import annotations

import importlib
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

from plimsoll.assistants.answering import Answer
from plimsoll.engine.asking import open_assistant
from plimsoll.engine.evaluating import Kept, evaluate, judged_again
from plimsoll.errors import PlimsollError
from plimsoll.report.assistant_page import assistant_page
from plimsoll.state.directory import StateDirectory
from tests.assistants.chat_server import Chat, ChatServer, chat_server, quotes, says

from .conftest import ENVIRONMENT, write

FILE = """\
  datasets: {pages: {source: pages}}
  indexes: {faq: {documents: pages}}
  llms: {writer: {endpoint: {url: 'URL', model: m, key: {env: WRITER_KEY}}}}
  assistants:
    help:
      {index: faq, llm: writer, prompt: rules.md, questions: judged.jsonl, accept: {recall@4: '>= 1', refused: '>= 1'}}
    tuned: {index: faq, llm: writer, questions: judged.jsonl}
    idle: {index: faq, llm: writer}
"""
PAGES = {
    "seal.md": "# Seals\n\nChange the seal of the pump every 500 hours.\n",
    "oil.md": "# Oil\n\nThe gearbox takes 3 litres of oil.\n",
}
JUDGED: list[dict[str, object]] = [
    {"question": "How often is the seal changed?", "documents": ["seal.md"], "facts": ["500"]},
    {"question": "How much oil does the gearbox take?", "documents": ["oil.md"], "facts": [["3 litres", "3 l"]]},
    {"question": "Which visa is needed for Japan?", "unanswerable": True},
]


class Application(NamedTuple):
    """An application whose index is built, and the service that its assistant asks."""

    directory: Path
    service: ChatServer

    def plimsoll(self, verb: str, *arguments: str, given: str = "") -> Result:
        """A verb in this process, which is quicker than one of its own."""
        command: click.Command = importlib.import_module(f"plimsoll.cli.verbs.{verb}").command
        where = [] if verb == "verify" else ["-f", str(self.directory)]
        return CliRunner().invoke(command, [*arguments, *where], input=given, standalone_mode=False)

    def judged(self, *questions: Mapping[str, object]) -> None:
        lines = "".join(json.dumps(each) + "\n" for each in questions)
        (self.directory / "judged.jsonl").write_text(lines)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    directory = tmp_path_factory.mktemp("assistant")
    with chat_server(quotes) as server:
        write(directory, FILE.replace("URL", server.url))
        (directory / "rules.md").write_text("Answer from the passages.")
        (directory / "pages").mkdir()
        for name, text in PAGES.items():
            (directory / "pages" / name).write_text(text)
        made = Application(directory, server)
        made.judged(*JUDGED)
        ran = subprocess.run(
            [sys.executable, "-m", "plimsoll", "run"],
            cwd=directory,
            env={**ENVIRONMENT, "XDG_CONFIG_HOME": str(directory / ".config")},
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        yield made


@pytest.fixture
def application(built: Application, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(built.directory / ".config"))
    monkeypatch.setenv("WRITER_KEY", "sk-1")
    built.service.reply = quotes
    built.judged(*JUDGED)
    return built


def asked(application: Application, question: str) -> Answer:
    with open_assistant(application.directory / "plimsoll.yaml", "help") as opened:
        *_, last_event = opened.assistant.ask(question)
    assert isinstance(last_event, Answer)
    return last_event


def judged(application: Application) -> Kept:
    with open_assistant(application.directory / "plimsoll.yaml", "help") as opened:
        return evaluate(opened, StateDirectory(application.directory), lambda *_: None, assistant_page)


def test_an_answer_is_printed_with_the_passages_that_support_it(application: Application) -> None:
    said = application.plimsoll("ask", "help", "How often is the seal changed?", "--why")
    assert said.exception is None
    assert "Change the seal of the pump every 500 hours. [1]\n  [1] seal.md, characters 9 to" in said.stdout
    assert "supported by 1" in said.stdout
    assert "first token" in said.stdout
    assert "sk-1" not in said.output
    assert application.service.headers[-1]["authorization"] == "Bearer sk-1"
    assert application.service.asked[-1]["messages"][0]["content"].startswith("Answer from the passages.")


def test_what_is_not_there_is_named(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(PlimsollError, match="did you mean 'help'"),
        open_assistant(application.directory / "plimsoll.yaml", "helf"),
    ):
        pass
    monkeypatch.delenv("WRITER_KEY")
    with pytest.raises(PlimsollError, match=r"7:\d+: the variable WRITER_KEY is not set"):
        asked(application, "How often is the seal changed?")


def test_what_no_document_is_near_to_is_refused_without_asking_the_language_model(application: Application) -> None:
    before = len(application.service.asked)
    refused = asked(application, "Which visa is needed for Japan?")
    assert (refused.outcome, refused.text) == ("refused", "The documents do not answer this.")
    assert len(application.service.asked) == before


def test_questions_that_are_piped_are_answered_line_by_line(application: Application) -> None:
    questions = f"How often is the seal changed?\n\n{'x' * 9000}\nHow much oil does the gearbox take?\n"
    ended = application.plimsoll("ask", "help", "--json", given=questions)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.return_value, [each.get("outcome") for each in lines]) == (1, ["answered", None, "answered"])
    assert "has 9000 characters" in str(lines[1])
    assert (lines[0]["sources"], lines[0]["tokens"]) == (["seal.md"], 7)
    assert lines[0]["sentences"][0]["support"]["passages"] == [1]


def test_an_evaluation_is_kept_as_evidence_and_compared_with_the_last_one(application: Application) -> None:
    first = judged(application)
    figures = first.evaluation.figures
    assert first.evaluation.accepted
    assert [figures[name] for name in ("recall@4", "facts", "cited", "supported", "refused")] == [1.0] * 5
    assert judged_again(first) == []
    application.service.reply = says("The seal lasts for 900 hours.")
    second = application.plimsoll("eval", "help")
    assert second.return_value == 0
    assert "was 1.000" in second.stdout
    assert "no longer right: How often is the seal changed?" in second.stdout
    assert "1 of 3 questions are right" in second.stdout
    newest = first.path.parent / str(int(first.path.name) + 1)
    assert "Which visa is needed for Japan?" in (newest / "page.html").read_text()

    records = first.path / "records.jsonl"
    records.write_text(records.read_text().replace("500 hours", "600 hours"))
    altered = application.plimsoll("verify", str(first.path))
    assert (altered.return_value, "records.jsonl: altered" in altered.stdout) == (1, True)
    whole = application.plimsoll("verify", str(newest))
    assert (whole.return_value, "signature valid" in whole.stdout) == (0, True)


def test_an_evaluation_stands_beside_that_of_another_assistant_when_asked_to(application: Application) -> None:
    application.service.reply = says("The seal lasts for 900 hours.")
    number = judged(application).evaluation.number
    application.service.reply = quotes
    ended = application.plimsoll("eval", "tuned", "--against", "help")
    assert ended.return_value == 0
    assert f"before: help, evaluation {number}" in ended.stdout
    assert "right now: How often is the seal changed?" in ended.stdout
    page = application.directory / ".plimsoll" / "evaluations" / "tuned" / "1" / "page.html"
    assert f"Changed since evaluation help {number}" in page.read_text()
    told = json.loads(application.plimsoll("eval", "tuned", "--against", "help", "--json").stdout)
    assert (told["against"], told["before"]["cited"]) == (f"help {number}", 0.0)
    asked_before = len(application.service.asked)
    unjudged = application.plimsoll("eval", "tuned", "--against", "idle")
    assert "the assistant 'idle' has not been judged yet" in str(unjudged.exception)
    assert "did you mean" in repr(vars(application.plimsoll("eval", "tuned", "--against", "helb").exception))
    assert len(application.service.asked) == asked_before


def test_a_bound_that_is_missed_or_that_no_question_tells_is_a_refusal(application: Application) -> None:
    application.judged(JUDGED[0])
    assert judged(application).evaluation.refusals == ("no question tells refused, which must be >= 1",)
    application.judged(JUDGED[0], {"question": "Change the seal how?", "unanswerable": True})
    assert judged(application).evaluation.refusals == ("refused is 0, and must be >= 1",)


def test_a_language_model_that_is_gone_ends_an_evaluation_and_leaves_no_bundle(application: Application) -> None:
    def fails(chat: Chat, _: dict[str, object]) -> None:
        chat.begin(500, "application/json")
        chat.send(b'{"error": "broken"}')

    application.service.reply = fails
    application.judged(*({**JUDGED[0], "question": f"How often is the seal changed, {each}?"} for each in range(5)))
    before = sorted((application.directory / ".plimsoll/evaluations/help").glob("*"))
    with pytest.raises(PlimsollError, match=r"3 questions in a row had no answer.*broken"):
        judged(application)
    assert sorted((application.directory / ".plimsoll/evaluations/help").glob("*")) == before


@pytest.mark.slow
def test_a_conversation_in_a_terminal_remembers_what_was_asked_and_ends_with_its_input(
    application: Application,
) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "plimsoll", "ask", "help"],
        cwd=application.directory,
        env={
            **ENVIRONMENT,
            "XDG_CONFIG_HOME": str(application.directory / ".config"),
            "TERM": "dumb",
            "WRITER_KEY": "k",
        },
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    shown, seen = b"", 0

    def until(words: bytes) -> None:
        nonlocal shown, seen
        while words not in shown[seen:]:
            ready, _, _ = select.select([leader], [], [], 40)
            assert ready, shown.decode(errors="replace")
            shown += os.read(leader, 4096)
        seen = shown.index(words, seen) + len(words)

    try:
        until(b"Ctrl-D ends.")
        until(b"> ")
        os.write(leader, b"How often is the seal changed?\n")
        until(b"[1] seal.md, characters")
        until(b"> ")
        os.write(leader, b"Why is it changed?\n")
        until(b"[1] seal.md, characters")
        until(b"> ")
        os.write(leader, b"\x04")
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    roles = [each["role"] for each in application.service.asked[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


SERVED = """\
  datasets: {pages: {source: pages}}
  models: {tiny: {source: tiny.gguf}}
  indexes: {faq: {documents: pages}}
  llms: {writer: {model: tiny, context: 1024}}
SERVICES  assistants: {help: {index: faq, llm: writer, limits: {tokens: 16}}}
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_language_model_that_is_served_here_writes_and_one_without_a_service_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")
    from tests.llms.tiny import tiny_model

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    tiny_model(tmp_path / "tiny.gguf", context=4096)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "seal.md").write_text(PAGES["seal.md"])
    write(tmp_path, SERVED.replace("SERVICES", "  services: {chat: {llm: writer}}\n"))
    command = [sys.executable, "-m", "plimsoll", "run"]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with open_assistant(tmp_path / "plimsoll.yaml", "help") as opened:
        *_, last_event = opened.assistant.ask("How often is the seal changed?")
    assert isinstance(last_event, Answer)
    assert (last_event.tokens, last_event.finish) == (16, "length")
    assert [each.id for each in last_event.passages] == ["seal.md"]

    write(tmp_path, SERVED.replace("SERVICES", ""))
    with (
        pytest.raises(PlimsollError, match="no service has the language model 'writer'"),
        open_assistant(tmp_path / "plimsoll.yaml", "help"),
    ):
        pass
