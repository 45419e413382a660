"""The page of an evaluation of an assistant, self-contained. Pure, except that it reads its template."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.application.scalars import bound_holds
from plimsoll.assistants.figures import FIGURES, less_is_better, rank_of
from plimsoll.assistants.judging import Judgement, Record, compare, judge, turned
from plimsoll.engine.evaluating import Kept

if TYPE_CHECKING:
    from jinja2 import Template

MOST_SHOWN = 400
"""Questions on the page; those that are not right come first."""
_SHOWN = 600


class FigureRow(Struct, frozen=True, kw_only=True):
    """A figure with its bound, and that of the evaluation before."""

    name: str
    meaning: str
    value: str
    before: str
    change: str
    bound: str
    state: str


class QuestionRow(Struct, frozen=True, kw_only=True):
    """A question with its judgement, its answer and what it was given."""

    judgement: Judgement
    expected: str
    answer: str
    found: tuple[str, ...]


@functools.cache
def template() -> Template:
    """Load the template of the page."""
    from jinja2 import Environment, FileSystemLoader

    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    made = Environment(loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return made.get_template("assistant.html")


def assistant_page(kept: Kept, earlier: Kept | None = None) -> str:
    """The page; every text of documents, questions and answers is escaped."""
    judgements = [judge(each) for each in kept.records]
    lost, won = turned([judge(each) for each in earlier.records] if earlier else [], judgements)
    rows = sorted(map(_question, kept.records, judgements), key=lambda row: row.judgement.right)
    return template().render(
        evaluation=kept.evaluation,
        earlier=earlier.evaluation if earlier and comparable(kept, earlier) else None,
        since=_called(kept, earlier) if earlier else "",
        figures=figure_rows(kept, earlier),
        rows=rows[:MOST_SHOWN],
        more=max(0, len(rows) - MOST_SHOWN),
        right=sum(each.right for each in judgements),
        lost=lost,
        won=won,
    )


def _called(kept: Kept, earlier: Kept) -> str:
    """What the evaluation before is called: by its assistant too where that is another one."""
    other = earlier.evaluation
    return f"{other.assistant} {other.number}" if other.assistant != kept.evaluation.assistant else str(other.number)


def figure_rows(kept: Kept, earlier: Kept | None) -> list[FigureRow]:
    """The figures that questions tell, in their order."""
    evaluation = kept.evaluation
    before = earlier.evaluation.figures if earlier and comparable(kept, earlier) else {}
    changes = {each.name: each for each in compare(before, evaluation.figures)}
    rows = []
    for name, value in evaluation.figures.items():
        bound = evaluation.accept.get(name, "")
        state = "" if not bound else "pass" if value is not None and bound_holds(bound, value) else "fail"
        if value is None and not bound:
            continue
        was = changes[name].before if name in changes else None
        rows.append(
            FigureRow(
                name=name,
                meaning=meaning(name),
                value=shown(value, name),
                before=shown(was, name) if name in changes else "",
                change=_change(name, was, value),
                bound=bound,
                state=state,
            )
        )
    return rows


def comparable(kept: Kept, earlier: Kept) -> bool:
    """Whether figures mean the same: the same questions, judged by the same measure."""
    one, other = kept.evaluation, earlier.evaluation
    return (one.questions, one.measure) == (other.questions, other.measure)


def meaning(name: str) -> str:
    """What a figure means."""
    rank = rank_of(name)
    known = FIGURES[f"{name.partition('@')[0]}@K"] if rank is not None else FIGURES.get(name, "")
    return known.replace("K passages", f"{rank} passages") if rank != 1 else known.replace("K passages", "passage")


def shown(value: float | None, name: str) -> str:
    """A figure in words for people."""
    if value is None:
        return "–"
    return f"{value:.0f} ms" if less_is_better(name) else f"{value:.3f}"


def _change(name: str, was: float | None, now: float | None) -> str:
    if was is None or now is None or was == now:
        return ""
    better = (now < was) == less_is_better(name)
    return f"{'better' if better else 'worse'}"


def _question(record: Record, judgement: Judgement) -> QuestionRow:
    found: Sequence[str] = [f"{each.number}. {each.id} ({each.relevance:.2f})" for each in record.passages]
    return QuestionRow(
        judgement=judgement,
        expected=", ".join(record.judged.documents),
        answer=record.text[:_SHOWN] + ("…" if len(record.text) > _SHOWN else ""),
        found=tuple(found),
    )
