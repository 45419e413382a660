"""Judged questions: what is asked, which documents answer it, and what an answer must say. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError

MOST_QUESTIONS = 10_000
LONGEST_LINE = 1 << 20

Words = Annotated[str, Meta(min_length=1)]


@decodable
class Judged(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A question. `documents` are the ids of those that answer it; `facts` must stand in the answer.

    A fact is a text, or a list of texts of which one is enough. `access` are labels of who asks.
    """

    question: Words
    documents: tuple[Words, ...] = ()
    facts: tuple[Words | tuple[Words, ...], ...] = ()
    unanswerable: bool = False
    access: tuple[Words, ...] | None = None


def read_questions(content: bytes, file: str) -> list[Judged]:
    """The questions of a file of JSON lines. Raises FileError, with the line, for the first one that is none."""
    found: list[Judged] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        if len(line) > LONGEST_LINE or len(found) == MOST_QUESTIONS:
            raise FileError(f"there are more than {MOST_QUESTIONS} questions, or one is very long", where=where)
        judged = _read(line, where)
        key = " ".join(judged.question.casefold().split())
        if key in lines:
            text = f"this question stands in line {lines[key]} already"
            raise FileError(text, where=where, hint="keep one of both")
        lines[key] = number
        found.append(judged)
    if not found:
        raise FileError("there are no questions", where=file, hint='write {"question": …, "documents": […]} on a line')
    return found


def _read(line: bytes, where: str) -> Judged:
    try:
        judged = msgspec.json.decode(line, type=Judged)
    except msgspec.ValidationError as error:
        hint = 'a line is {"question": …, "documents": […], "facts": […]} or {"question": …, "unanswerable": true}'
        raise FileError(f"this is no judged question: {error}", where=where, hint=hint) from None
    except UNREADABLE as error:
        raise FileError(f"this is no JSON: {error}", where=where, hint="write one object on each line") from None
    if not judged.question.strip():
        raise FileError("the question is empty", where=where)
    if judged.unanswerable == bool(judged.documents):
        words = "has `documents` that answer it, and is `unanswerable`" if judged.documents else "has no `documents`"
        hint = "name the documents that answer it, or write `unanswerable: true`"
        raise FileError(f"the question {words}", where=where, hint=hint)
    if judged.unanswerable and judged.facts:
        raise FileError("an unanswerable question has `facts`", where=where, hint="remove them")
    return judged
