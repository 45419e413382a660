"""`plimsoll eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.options import (
    application_file,
    application_state,
    file_option,
    json_option,
    print_json,
    target_option,
    token_option,
    width,
)
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.assistants.judging import Judgement, Record
    from plimsoll.engine.evaluating import Kept

_SHOWN = 8
"""Questions that are listed as not right; the page has all."""


@click.command("eval")
@click.argument("name", shell_complete=completion.assistants)
@click.option(
    "--against",
    metavar="NAME",
    shell_complete=completion.assistants,
    help="Beside the last evaluation of this assistant, and not of its own.",
)
@file_option
@target_option
@token_option
@json_option
def command(
    name: str,
    against: str | None,
    file: Path,
    target: str,
    namespace: str | None,
    token_file: Path | None,
    as_json: bool,
) -> int:
    """Ask the assistant NAME its judged questions, and print what its answers are worth beside the last time.

    The exit status is 0 when every bound of `accept` holds and every question had an answer, else 1.
    """
    from plimsoll.cli.tokens import token_from
    from plimsoll.engine.asking import open_assistant
    from plimsoll.engine.evaluating import evaluate, last, last_of_another
    from plimsoll.report.assistant_page import assistant_page
    from plimsoll.targets.options import TargetOptions

    token, options = token_from(token_file), TargetOptions(namespace=namespace)
    with open_assistant(application_file(file), name, target, options, token) as opened:
        state = application_state(file, target)
        earlier = last_of_another(opened, state, against) if against is not None else last(state, name)
        kept = evaluate(opened, state, _quiet if as_json else _told, assistant_page, earlier)
    if as_json:
        print_json(_summary(kept, earlier))
    else:
        _print(kept, earlier)
    return 0 if kept.evaluation.accepted else 1


def _quiet(number: int, of: int, record: Record) -> None:
    """Tell nothing."""


def _told(number: int, of: int, record: Record) -> None:
    outcome = record.error or record.outcome
    click.echo(one_line(f"  {number}/{of}  {outcome}: {record.judged.question}")[: width()], err=True)


def _summary(kept: Kept, earlier: Kept | None) -> dict[str, object]:
    import msgspec

    from plimsoll.assistants.judging import judge
    from plimsoll.report.assistant_page import comparable

    same = earlier is not None and comparable(kept, earlier)
    return {
        **msgspec.to_builtins(kept.evaluation),
        "accepted": kept.evaluation.accepted,
        "before": earlier.evaluation.figures if earlier is not None and same else None,
        "against": f"{earlier.evaluation.assistant} {earlier.evaluation.number}" if earlier is not None else None,
        "questions": [msgspec.to_builtins(judge(each)) for each in kept.records],
        "bundle": str(kept.path),
    }


def _print(kept: Kept, earlier: Kept | None) -> None:
    from plimsoll.assistants.judging import judge, turned
    from plimsoll.engine.evaluating import PAGE
    from plimsoll.report.assistant_page import comparable, figure_rows

    evaluation = kept.evaluation
    click.echo(one_line(f"{evaluation.assistant}: {evaluation.index}, {evaluation.llm}"))
    if earlier is not None and earlier.evaluation.assistant != evaluation.assistant:
        other = earlier.evaluation
        click.echo(one_line(f"before: {other.assistant}, evaluation {other.number}: {other.index}, {other.llm}"))
    rows = figure_rows(kept, earlier)
    wide = max(len(row.name) for row in rows)
    for row in rows:
        sign = {"pass": "✓", "fail": "✗"}.get(row.state, " ")
        before = f"was {row.before}" if row.before else ""
        parts = [f"{sign} {row.name:<{wide}}  {row.value:>9}", f"{row.bound:<9}", f"{before:<14}", row.change]
        click.echo("  ".join(parts).rstrip())
    judgements = [judge(each) for each in kept.records]
    wrong = [each for each in judgements if not each.right]
    click.echo(f"{len(judgements) - len(wrong)} of {len(judgements)} questions are right")
    for each in wrong[:_SHOWN]:
        click.echo(one_line(f"  ✗ {each.question}  ({_why(each)})"))
    if len(wrong) > _SHOWN:
        click.echo(f"  and {len(wrong) - _SHOWN} more")
    if earlier is not None:
        _print_turned(*turned([judge(each) for each in earlier.records], judgements))
        if not comparable(kept, earlier):
            click.echo("the figures before are not shown: the questions or the measure have changed")
    for refusal in evaluation.refusals:
        click.echo(f"not accepted: {refusal}")
    if evaluation.errors:
        click.echo(f"not accepted: {evaluation.errors} questions had no answer")
    click.echo(f"page: {kept.path / PAGE}")


def _print_turned(lost: list[str], won: list[str]) -> None:
    for words, questions in (("no longer right", lost), ("right now", won)):
        for question in questions[:_SHOWN]:
            click.echo(one_line(f"  {words}: {question}"))


def _why(judgement: Judgement) -> str:
    if judgement.error:
        return judgement.error
    if judgement.unanswerable or judgement.outcome == "refused":
        return str(judgement.outcome)
    if judgement.first_rank is None:
        return "the document that answers was not found"
    if judgement.missing_facts:
        return f"without {', '.join(judgement.missing_facts)}"
    return "no supported sentence stands on a document that answers"
