"""`plimsoll ask` and `plimsoll eval`: from documents to an answer with its sources, and to figures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assistants.chat_server import Chat, ChatServer, chat_server, quotes, says

from .conftest import ENVIRONMENT, Plimsoll, answer, write

FILE = """\
  datasets: {pages: {source: pages}}
  indexes: {faq: {documents: pages}}
  llms: {writer: {endpoint: {url: 'URL', model: m, key: {env: WRITER_KEY}}}}
  assistants:
    help:
      {index: faq, llm: writer, prompt: rules.md, questions: judged.jsonl, accept: {recall@4: '>= 1', refused: '>= 1'}}
"""
PAGES = {
    "seal.md": "# Seals\n\nChange the seal of the pump every 500 hours.\n",
    "oil.md": "# Oil\n\nThe gearbox takes 3 litres of oil.\n",
}
JUDGED = [
    {"question": "How often is the seal changed?", "documents": ["seal.md"], "facts": ["500"]},
    {"question": "How much oil does the gearbox take?", "documents": ["oil.md"], "facts": [["3 litres", "3 l"]]},
    {"question": "Which visa is needed for Japan?", "unanswerable": True},
]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ChatServer]:
    """A language model that says the first passage again; an application that asks it is in the test's directory."""
    with chat_server(quotes) as server:
        write(tmp_path, FILE.replace("URL", server.url))
        (tmp_path / "rules.md").write_text("Answer from the passages.")
        (tmp_path / "judged.jsonl").write_text("".join(json.dumps(each) + "\n" for each in JUDGED))
        (tmp_path / "pages").mkdir()
        for name, text in PAGES.items():
            (tmp_path / "pages" / name).write_text(text)
        yield server


def test_an_answer_is_printed_with_the_passages_that_support_it(plimsoll: Plimsoll, service: ChatServer) -> None:
    not_yet = plimsoll("ask", "help", "How often is the seal changed?", WRITER_KEY="k")
    assert (not_yet.returncode, "the index 'faq' is not built" in not_yet.stderr) == (1, True)
    assert plimsoll("run").returncode == 0
    no_key = plimsoll("ask", "help", "How often is the seal changed?")
    assert (no_key.returncode, "7:67: the variable WRITER_KEY is not set" in no_key.stderr) == (2, True)

    said = plimsoll("ask", "help", "How often is the seal changed?", "--why", WRITER_KEY="sk-1")
    assert said.returncode == 0, said.stderr
    assert "Change the seal of the pump every 500 hours. [1]\n  [1] seal.md, characters 9 to" in said.stdout
    assert "supported by 1" in said.stdout
    assert "first token" in said.stdout
    assert "sk-1" not in said.stdout + said.stderr
    assert service.headers[-1]["authorization"] == "Bearer sk-1"
    assert service.asked[-1]["messages"][0]["content"].startswith("Answer from the passages.")

    refused = plimsoll("ask", "help", "Which visa is needed for Japan?", WRITER_KEY="k")
    assert refused.stdout == "The documents do not answer this.\n"
    wrong = plimsoll("ask", "helf", "x", WRITER_KEY="k")
    assert (wrong.returncode, "did you mean 'help'?" in wrong.stderr) == (2, True)
    told = answer(plimsoll("ask", "help", "How often is the seal changed?", "--json", WRITER_KEY="k"))
    assert (told["outcome"], told["sources"], told["tokens"]) == ("answered", ["seal.md"], 7)
    assert told["sentences"][0]["support"]["passages"] == [1]


def test_questions_that_are_piped_are_answered_line_by_line(
    plimsoll: Plimsoll, service: ChatServer, tmp_path: Path
) -> None:
    assert plimsoll("run").returncode == 0
    command = [sys.executable, "-m", "plimsoll", "ask", "help", "--json"]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={**ENVIRONMENT, "WRITER_KEY": "k", "XDG_CONFIG_HOME": str(tmp_path / ".config")},
        input="How often is the seal changed?\n\n" + "x" * 9000 + "\nHow much oil does the gearbox take?\n",
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, [each.get("outcome") for each in lines]) == (1, ["answered", None, "answered"])
    assert "has 9000 characters" in str(lines[1])


def test_an_evaluation_is_kept_as_evidence_and_compared_with_the_last_one(
    plimsoll: Plimsoll, service: ChatServer, tmp_path: Path
) -> None:
    assert plimsoll("run").returncode == 0
    first = answer(plimsoll("eval", "help", "--json", WRITER_KEY="k"))
    figures = first["figures"]
    assert (first["accepted"], figures["recall@4"], figures["refused"], figures["facts"]) == (True, 1.0, 1.0, 1.0)
    assert (figures["cited"], figures["supported"]) == (1.0, 1.0)
    bundle = Path(first["bundle"])
    assert plimsoll("verify", str(bundle)).returncode == 0

    def hears(chat: Chat, body: dict[str, object]) -> None:
        says("The seal lasts for 900 hours.")(chat, body)

    service.reply = hears
    second = plimsoll("eval", "help", WRITER_KEY="k")
    assert second.returncode == 0, second.stderr
    assert "facts" in second.stdout
    assert "was 1.000" in second.stdout
    assert "no longer right: How often is the seal changed?" in second.stdout
    assert "1 of 3 questions are right" in second.stdout
    page = (bundle.parent / "2" / "page.html").read_text()
    assert "Which visa is needed for Japan?" in page

    records = bundle / "records.jsonl"
    records.write_text(records.read_text().replace("500 hours", "600 hours"))
    altered = plimsoll("verify", str(bundle))
    assert (altered.returncode, "records.jsonl: altered" in altered.stdout) == (1, True)


def test_a_bound_that_is_missed_fails_the_command_and_a_model_that_is_gone_ends_it(
    plimsoll: Plimsoll, service: ChatServer, tmp_path: Path
) -> None:
    (tmp_path / "judged.jsonl").write_text(json.dumps(JUDGED[0]) + "\n")
    assert plimsoll("run").returncode == 0
    missed = plimsoll("eval", "help", WRITER_KEY="k")
    assert missed.returncode == 1
    assert "not accepted: no question tells refused, which must be >= 1" in missed.stdout

    def fails(chat: Chat, _: dict[str, object]) -> None:
        chat.begin(500, "application/json")
        chat.send(b'{"error": "broken"}')

    service.reply = fails
    again = [{**JUDGED[0], "question": f"How often is the seal changed, {each}?"} for each in range(5)]
    (tmp_path / "judged.jsonl").write_text("".join(json.dumps(each) + "\n" for each in again))
    gone = plimsoll("eval", "help", WRITER_KEY="k")
    assert gone.returncode == 1
    assert "3 questions in a row had no answer" in gone.stderr
    assert len(list((tmp_path / ".plimsoll/evaluations/help").iterdir())) == 1
