"""`plimsoll ask`."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.options import application_file, file_option, json_option, print_json, target_option, token_option
from plimsoll.errors import PlimsollError, RequestError

if TYPE_CHECKING:
    from plimsoll.assistants.answering import Answer, Assistant, Limits
    from plimsoll.assistants.prompt import Turn
    from plimsoll.engine.asking import Opened

LONGEST_LINE = 1 << 16
"""Characters of a line of questions."""


@click.command("ask")
@click.argument("name", shell_complete=completion.assistants)
@click.argument("question", required=False)
@click.option("--top", type=click.IntRange(1, 50), default=None, help="Passages at most; not more than in the file.")
@click.option("--tokens", type=click.IntRange(1), default=None, help="Tokens of an answer at most, as above.")
@click.option("--time", "seconds", type=click.FloatRange(0.1), default=None, help="Seconds at most, as above.")
@click.option(
    "--access",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="Ask as somebody with this label, and with no other. May be given several times.",
)
@click.option("--why", is_flag=True, help="Show the passages with their scores, and the time of each stage.")
@file_option
@target_option
@token_option
@json_option
def command(
    name: str,
    question: str | None,
    top: int | None,
    tokens: int | None,
    seconds: float | None,
    labels: tuple[str, ...],
    why: bool,
    file: Path,
    target: str,
    namespace: str | None,
    token_file: Path | None,
    as_json: bool,
) -> int:
    """Ask the assistant NAME; each sentence of its answer names the passage that supports it.

    Without QUESTION, each line of standard input is a question of its own; in a terminal it is a conversation.
    """
    from plimsoll.assistants.answering import Limits
    from plimsoll.cli.tokens import token_from
    from plimsoll.engine.asking import open_assistant
    from plimsoll.targets.options import TargetOptions

    token, options = token_from(token_file), TargetOptions(namespace=namespace)
    with open_assistant(application_file(file), name, target, options, token) as opened:
        most = opened.assistant.settings.limits
        limits = Limits(tokens=tokens or most.tokens, seconds=seconds or most.seconds, top=top or most.top)
        asking = _Asking(opened.assistant, limits, labels or None, as_json=as_json, why=why)
        if question is not None:
            asking.ask(question)
        elif sys.stdin.isatty():
            _converse(opened, asking)
        else:
            return _answer_lines(asking)
    return 0


class _Asking:
    """Asks questions, and prints the answers as they are written."""

    def __init__(
        self, assistant: Assistant, limits: Limits, labels: tuple[str, ...] | None, *, as_json: bool, why: bool
    ) -> None:
        self.as_json = as_json
        self._assistant = assistant
        self._limits = limits
        self._labels = labels
        self._why = why

    def ask(self, question: str, history: tuple[Turn, ...] = ()) -> Answer:
        """Print what happens until the answer, and return it."""
        import msgspec

        from plimsoll.assistants.answering import Answer, Text
        from plimsoll.assistants.support import Marked
        from plimsoll.cli.answers import mark_of, print_end, print_why

        for event in self._assistant.ask(question, history, limits=self._limits, labels=self._labels):
            if isinstance(event, Answer):
                if self.as_json:
                    print_json(msgspec.to_builtins(event))
                else:
                    print_end(event)
                    if self._why:
                        print_why(event)
                return event
            if self.as_json:
                continue
            if isinstance(event, Text):
                _write(event.text)
            elif isinstance(event, Marked):
                _write(mark_of(event))
        raise PlimsollError("the assistant gave no answer")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _converse(opened: Opened, asking: _Asking) -> None:
    """Ask what is typed until the end of input; Ctrl-C ends an answer, and at the prompt the conversation."""
    from plimsoll.assistants.prompt import Turn

    click.echo(f"{opened.assistant.settings.name}: {opened.index}, {opened.llm}. Ctrl-D ends.", err=True)
    history: tuple[Turn, ...] = ()
    while True:
        question = _typed()
        if question is None:
            return
        if not question.strip():
            continue
        try:
            answer = asking.ask(question, history)
        except KeyboardInterrupt:
            click.echo(" (stopped)", err=True)
        except RequestError as error:
            click.echo(f"error: {error}", err=True)
        else:
            if answer.outcome == "answered":
                history = (*history, Turn(question=question, answer=answer.text))


def _typed() -> str | None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives `input` its history and its editing
    try:
        return input("> ")
    except EOFError:
        click.echo()
        return None


def _answer_lines(asking: _Asking) -> int:
    """Answer each line by itself; returns 1 when a line had no answer for an error."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    status = 0
    for number, line in enumerate(_lines(), start=1):
        if not line.strip():
            continue
        if not asking.as_json:
            click.echo(f"> {line.strip()}")
        try:
            asking.ask(line)
        except PlimsollError as error:
            status = 1
            if asking.as_json:
                print_json({"question": line.strip(), **error.as_json()})
            else:
                click.echo(f"error: standard input:{number}: {error}", err=True)
    return status


def _lines() -> Iterator[str]:
    """The lines of standard input; of a longer one than a question may be, its beginning, which is refused."""
    while line := sys.stdin.readline(LONGEST_LINE):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = sys.stdin.readline(LONGEST_LINE)
        yield line
