"""How answers look in a terminal: the marks of sentences, the sources, and what led to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import use_colour
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.assistants.answering import Answer
    from plimsoll.assistants.passages import Passage
    from plimsoll.assistants.support import Marked

UNSUPPORTED = "?"
_SHOWN = 100


def mark_of(sentence: Marked) -> str:
    """What stands behind a sentence: the numbers of its passages, or a question mark."""
    support = sentence.support
    if support.verdict == "empty":
        return ""
    text = ", ".join(map(str, support.passages)) if support.verdict == "supported" else UNSUPPORTED
    colour = "green" if support.verdict == "supported" else "yellow"
    return " " + (click.style(f"[{text}]", fg=colour) if use_colour() else f"[{text}]")


def print_end(answer: Answer) -> None:
    """End the line of an answer, and print what it stands on."""
    if answer.outcome == "refused" and not answer.sentences:
        click.echo(one_line(answer.text))
        return
    click.echo()
    for line in _notes(answer):
        click.echo(one_line(line))
    used = {number for each in answer.sentences for number in each.support.passages}
    for passage in answer.passages:
        if passage.number in used or not used:
            click.echo(one_line(f"  {_place(passage)}"))


def _notes(answer: Answer) -> Iterator[str]:
    if answer.finish in {"length", "time"}:
        yield f"The answer was cut off at its limit of {'tokens' if answer.finish == 'length' else 'time'}."
    verdicts = [each.support.verdict for each in answer.sentences]
    if answer.outcome != "answered":
        yield "No sentence of this answer is supported by the documents. The nearest passages are:"
    elif "unsupported" in verdicts:
        number = verdicts.count("unsupported")
        count = "1 sentence has" if number == 1 else f"{number} sentences have"
        yield f"[{UNSUPPORTED}]: {count} no support in the passages."


def _place(passage: Passage) -> str:
    above = f"  {passage.above}" if passage.above else ""
    return f"[{passage.number}] {passage.id}, characters {passage.start} to {passage.end}{above}"


def print_why(answer: Answer) -> None:
    """Print the passages with their scores, what sentences lack, and the time of each stage."""
    click.echo()
    click.echo(one_line(f"searched for: {answer.query}"))
    for passage in answer.passages:
        begins = " ".join(passage.text.split())[:_SHOWN]
        score = f"score {passage.score:.3f}, relevance {passage.relevance:.2f}"
        click.echo(one_line(f"  {_place(passage)}, {score}: {begins}"))
    for sentence in answer.sentences:
        click.echo(one_line(f"  {_verdict(sentence)}: {' '.join(sentence.text.split())[:_SHOWN]}"))
    stages = answer.stages
    parts = [f"embed {stages.embed:.1f} ms"] if stages.embed else []
    parts.append(f"search {stages.search:.1f} ms")
    parts += [f"rerank {stages.rerank:.1f} ms"] if stages.rerank else []
    parts.append(f"prompt {stages.prompt:.1f} ms")
    if answer.sentences:
        parts.append(f"first token {stages.first_token:.0f} ms, answer {stages.answer:.0f} ms")
        parts.append(f"support {stages.support:.1f} ms")
    if answer.tokens is not None:
        parts.append(f"{answer.prompt_tokens} tokens read, {answer.tokens} written")
    click.echo("; ".join(parts))


def _verdict(sentence: Marked) -> str:
    support = sentence.support
    if support.verdict == "empty":
        return "states nothing"
    if support.verdict == "supported":
        return f"supported by {', '.join(map(str, support.passages))}, words {support.share:.0%}"
    reasons = [f"words {support.share:.0%}"]
    if support.missing:
        reasons.append(f"in no passage: {', '.join(support.missing)}")
    if support.against:
        reasons.append(f"otherwise there: {', '.join(support.against)}")
    return f"unsupported ({'; '.join(reasons)})"
