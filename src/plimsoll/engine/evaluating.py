"""Judges an assistant by questions, and keeps what was observed as a signed bundle with its figures.

.plimsoll/evaluations/NAME/NUMBER/
  evaluation.json     what was judged: index, language model, settings, figures, and the bounds that were missed
  records.jsonl       each question with its answer and the passages it was given
  page.html           the page
  manifest.json       the signed list of all of them
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll import __version__
from plimsoll.application.scalars import bound_holds
from plimsoll.assistants.answering import Answer, Assistant
from plimsoll.assistants.figures import rank_of
from plimsoll.assistants.judging import RANKS, Record, figures
from plimsoll.assistants.measure import measure
from plimsoll.assistants.questions import Judged, read_questions
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.documents.places import display_path
from plimsoll.engine.asking import Opened
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.bundle import MANIFEST, check_seal, seal
from plimsoll.files import open_regular, replace_file
from plimsoll.kinds.assistant import ASSISTANTS
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory

EVALUATION, RECORDS, PAGE = "evaluation.json", "records.jsonl", "page.html"
LARGEST = 64 << 20
"""Bytes of a file of questions."""
FAILURES = 3
"""Questions in a row without an answer after which the language model is taken for gone."""
PREDICATE = "assistant"


@decodable
class Evaluation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An evaluation. `number` counts those of one assistant; `refusals` name the bounds that its figures miss."""

    assistant: str
    number: int
    began: str
    ended: str
    index: str
    index_key: str
    llm: str
    settings: Mapping[str, object]
    questions: str
    measure: str
    tool: str
    figures: Mapping[str, float | None]
    accept: Mapping[str, str] = {}
    refusals: tuple[str, ...] = ()
    errors: int = 0

    @property
    def accepted(self) -> bool:
        """Whether every bound holds, and every question had an answer."""
        return not self.refusals and not self.errors


class Kept(Struct, frozen=True, kw_only=True):
    """An evaluation with what was observed, where it lies."""

    path: Path
    evaluation: Evaluation
    records: tuple[Record, ...]


Page = Callable[[Kept, Kept | None], str]


def questions_of(opened: Opened) -> tuple[list[Judged], str]:
    """The judged questions of an assistant, and the digest of their file. Raises FileError."""
    name, part, file = opened.assistant.settings.name, opened.part, opened.file
    at = ASSISTANTS.place(name)
    if part.questions is None:
        raise file.error(f"the assistant '{name}' has no `questions`", "add `questions: FILE.jsonl`", *at, at_key=True)
    path = file.directory / part.questions
    try:
        with open_regular(path) as opened_file:
            content = opened_file.read(LARGEST + 1)
    except OSError as error:
        hint = "the path is relative to the application file"
        text = f"'{part.questions}' cannot be read: {error.strerror}"
        raise file.error(text, hint, *at, "questions") from None
    if len(content) > LARGEST:
        raise file.error(f"'{part.questions}' has more than {LARGEST >> 20} MiB", "use fewer", *at, "questions")
    return read_questions(content, display_path(path)), f"sha256:{hashlib.sha256(content).hexdigest()}"


def evaluate(
    opened: Opened,
    state: StateDirectory,
    tell: Callable[[int, int, Record], None],
    page: Page,
    earlier: Kept | None = None,
) -> Kept:
    """Ask every question and keep the evaluation; `tell` is called after each with its number and that of all.

    `page` makes the page of an evaluation and of the one that it stands beside, `earlier`.

    Raises PlimsollError when the language model has answered none of the first questions.
    """
    judged, digest = questions_of(opened)
    part, began = opened.part, _now()
    depth = max([RANKS, part.top, *filter(None, map(rank_of, part.accept))])
    records: list[Record] = []
    for number, each in enumerate(judged, start=1):
        records.append(observe(opened, each, depth))
        _require_answers(records)
        tell(number, len(judged), records[-1])
    found = figures(records, part.accept)
    settings = opened.assistant.settings
    evaluation = Evaluation(
        assistant=settings.name,
        number=0,
        began=began,
        ended=_now(),
        index=opened.index,
        index_key=opened.index_key,
        llm=opened.llm,
        settings={
            "top": part.top,
            "refuse": part.refuse,
            "tokens": settings.limits.tokens,
            "seconds": settings.limits.seconds,
            "rules": f"sha256:{hashlib.sha256(settings.rules.encode()).hexdigest()}",
        },
        questions=digest,
        measure=measure(),
        tool=f"plimsoll {__version__}",
        figures=found,
        accept=part.accept,
        refusals=tuple(missed(found, part.accept)),
        errors=sum(bool(each.error) for each in records),
    )
    return keep(state, evaluation, records, page, earlier)


def observe(opened: Opened, judged: Judged, depth: int) -> Record:
    """Ask one question, and record what was found and said."""
    labels = None if judged.access is None else list(judged.access)
    assistant = opened.assistant
    ranked = tuple(each.id for each in assistant.retrieve(judged.question, depth, labels))
    try:
        answer = _answer(assistant, judged, labels)
    except PlimsollError as error:
        return Record(judged=judged, ranked=ranked, error=error.on_one_line())
    return Record(
        judged=judged,
        ranked=ranked,
        outcome=answer.outcome,
        text=answer.text,
        passages=answer.passages,
        finish=answer.finish,
        tokens=answer.tokens,
        stages=answer.stages,
    )


def _answer(assistant: Assistant, judged: Judged, labels: list[str] | None) -> Answer:
    for event in assistant.ask(judged.question, labels=labels):
        if isinstance(event, Answer):
            return event
    raise PlimsollError("the assistant gave no answer")


def _require_answers(records: Sequence[Record]) -> None:
    """Raise TargetError when the last questions all failed: the next would too."""
    last = records[-FAILURES:]
    if len(last) == FAILURES and all(each.error for each in last):
        text = f"{FAILURES} questions in a row had no answer; the last because {last[-1].error}"
        raise TargetError(text, hint="check the language model, and judge again")


def missed(found: Mapping[str, float | None], accept: Mapping[str, str]) -> Iterable[str]:
    """A sentence for each bound that a figure misses, or that no question can tell."""
    for name, bound in accept.items():
        value = found.get(name)
        if value is None:
            yield f"no question tells {name}, which must be {bound}"
        elif not bound_holds(bound, value):
            yield f"{name} is {value:g}, and must be {bound}"


def keep(
    state: StateDirectory, evaluation: Evaluation, records: Sequence[Record], page: Page, earlier: Kept | None
) -> Kept:
    """Write a bundle with its page under the next number, and sign it."""
    place = evaluations_of(state, evaluation.assistant)
    place.mkdir(parents=True, exist_ok=True)
    number = _claimed(place)
    evaluation = msgspec.structs.replace(evaluation, number=number)
    draft = place / f".{number}.{os.getpid()}"
    draft.mkdir()
    try:
        content = msgspec.json.format(msgspec.json.encode(evaluation), indent=1)
        replace_file(draft / EVALUATION, content)
        replace_file(draft / RECORDS, b"".join(msgspec.json.encode(each) + b"\n" for each in records))
        kept = Kept(path=draft, evaluation=evaluation, records=tuple(records))
        replace_file(draft / PAGE, page(kept, earlier).encode(errors="backslashreplace"))
        about = {"assistant": evaluation.assistant, "kind": PREDICATE, "ended": evaluation.ended}
        seal(draft, about, KeyRing.default())
        draft.rename(place / str(number))
    except BaseException:  # a bundle that is not whole is not kept, also after Ctrl-C
        shutil.rmtree(draft, ignore_errors=True)
        with contextlib.suppress(OSError):
            (place / str(number)).rmdir()
        raise
    return msgspec.structs.replace(kept, path=place / str(number))


def _claimed(place: Path) -> int:
    """The next number, by an empty directory that no other evaluation can make."""
    number = max([0, *(int(each.name) for each in place.iterdir() if each.name.isdigit())])
    while True:
        number += 1
        with contextlib.suppress(FileExistsError):
            (place / str(number)).mkdir()
            return number


def evaluations_of(state: StateDirectory, assistant: str) -> Path:
    """The directory of the evaluations of an assistant."""
    return state.root / "evaluations" / assistant


def last(state: StateDirectory, assistant: str) -> Kept | None:
    """The newest evaluation of an assistant that is as it was signed; None without one."""
    place = evaluations_of(state, assistant)
    if not place.is_dir():
        return None
    numbers = sorted((int(each.name) for each in place.iterdir() if each.name.isdigit()), reverse=True)
    for number in numbers:
        if (place / str(number) / MANIFEST).is_file() and not check_seal(
            place / str(number), KeyRing.default()
        ).problems:
            return read(place / str(number))
    return None


def last_of_another(opened: Opened, state: StateDirectory, assistant: str) -> Kept:
    """The newest evaluation of another assistant of the file. Raises FileError without one."""
    ASSISTANTS.check_reference(opened.file, assistant)
    found = last(state, assistant)
    if found is None:
        text = f"the assistant '{assistant}' has not been judged yet"
        raise opened.file.error(text, f"plimsoll eval {assistant}", *ASSISTANTS.place(assistant), at_key=True)
    return found


def read(path: Path) -> Kept:
    """An evaluation as it is kept. Raises PlimsollError for files that are none."""
    try:
        evaluation = msgspec.json.decode((path / EVALUATION).read_bytes(), type=Evaluation)
        lines = (path / RECORDS).read_bytes().splitlines()
        records = tuple(msgspec.json.decode(line, type=Record) for line in lines)
    except (*UNREADABLE, OSError) as error:
        raise PlimsollError(f"this evaluation cannot be read: {error}", where=str(path)) from error
    return Kept(path=path, evaluation=evaluation, records=records)


def judged_again(kept: Kept) -> list[str]:
    """What is otherwise than the records give: figures, and bounds."""
    if kept.evaluation.measure != measure():
        return [f"{EVALUATION}: judged by measure {kept.evaluation.measure}, and this version has measure {measure()}"]
    found = figures(kept.records, kept.evaluation.accept)
    written = kept.evaluation.figures
    problems = [f"{EVALUATION}: the figure {name} differs" for name in found if found[name] != written.get(name)]
    if list(kept.evaluation.refusals) != list(missed(found, kept.evaluation.accept)):
        problems.append(f"{EVALUATION}: the bounds that are missed differ")
    return problems


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
