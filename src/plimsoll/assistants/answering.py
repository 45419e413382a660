"""From a question to an answer that says what it stands on: search, prompt, language model, support."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.assistants import prompt as prompts
from plimsoll.assistants.languages import language_of, word_set
from plimsoll.assistants.passages import Passage, Retrieve
from plimsoll.assistants.prompt import Turn
from plimsoll.assistants.refusals import refusal
from plimsoll.assistants.sentences import Sentence, split
from plimsoll.assistants.support import Marked, mark
from plimsoll.assistants.terms import DEFAULT, stems_in
from plimsoll.decoding import decodable
from plimsoll.encoding import readable
from plimsoll.errors import PlimsollError
from plimsoll.indexes.took import Took
from plimsoll.indexes.words import words
from plimsoll.llms.client import Ended, Message

LONGEST_QUESTION = 8000
"""Characters of a question."""
MOST_TURNS = 20
"""Earlier turns that count."""
_FEW_STEMS = 3
_LEANING = word_set(
    "it its they them that this these those he she him her one ones there then "
    "er sie es das dies diese il elle cela ça eso esto lo la ciò isso het dat"
)

Outcome = Literal["answered", "unsupported", "refused"]


class Limits(Struct, frozen=True, kw_only=True):
    """What one answer may take: `tokens`, `seconds` from the question on, and `top` passages."""

    tokens: int
    seconds: float
    top: int


class Settings(Struct, frozen=True, kw_only=True):
    """An assistant as the file describes it. `context` is that of its language model, in tokens."""

    name: str
    rules: str
    refuse: float
    limits: Limits
    context: int


class Written(Protocol):
    """Text that a language model writes; `ended` is set after the last piece."""

    ended: Ended | None

    def __iter__(self) -> Iterator[str]:
        """Each piece as it comes."""
        ...


class Write(Protocol):
    """Has a language model write."""

    def __call__(self, messages: Sequence[Message], tokens: int, seconds: float) -> Written:
        """Ask it."""
        ...


class Retrieved(Struct, frozen=True, kw_only=True):
    """The passages that were found, by the words that were searched for."""

    query: str
    passages: tuple[Passage, ...]


class Text(Struct, frozen=True, kw_only=True):
    """A piece of the answer. What was not yet given of a sentence comes before its support."""

    text: str


@decodable
class Stages(Struct, frozen=True, kw_only=True):
    """Milliseconds of each stage; `first_token` and `answer` count from the request to the language model.

    `embed` is the vector of the question and `rerank` the second model; `search` is what the search took besides.
    """

    embed: float = 0.0
    search: float = 0.0
    rerank: float = 0.0
    prompt: float = 0.0
    first_token: float = 0.0
    answer: float = 0.0
    support: float = 0.0

    @property
    def retrieval(self) -> float:
        """All of the search."""
        return self.embed + self.search + self.rerank


class Answer(Struct, frozen=True, kw_only=True):
    """An answer, with all that it stands on.

    `unsupported` says that no sentence of it has support. `sources` are the documents of the passages that support a
    sentence, those of the first sentence first; of a refusal, those that came nearest.
    """

    question: str
    outcome: Outcome
    text: str
    language: str | None
    query: str
    passages: tuple[Passage, ...]
    sentences: tuple[Marked, ...] = ()
    sources: tuple[str, ...] = ()
    finish: str = "stop"
    prompt_tokens: int | None = None
    tokens: int | None = None
    stages: Stages


Event = Retrieved | Text | Marked | Answer


class Prepared(Struct, frozen=True, kw_only=True):
    """A question with its passages: what a language model is given, unless it is `refused` already.

    `given` are the passages that had room, `left` is in seconds.
    """

    question: str
    retrieved: Retrieved
    language: str | None
    limits: Limits
    refused: Answer | None = None
    messages: tuple[Message, ...] = ()
    given: tuple[Passage, ...] = ()
    stages: Stages = Stages()
    left: float = 0.0


class Assistant:
    """Answers questions. `clock` is in seconds."""

    def __init__(self, settings: Settings, retrieve: Retrieve, write: Write, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.retrieve = retrieve
        self._write = write
        self._clock = clock

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        *,
        limits: Limits | None = None,
        labels: Collection[str] | None = None,
    ) -> Iterator[Event]:
        """What happens until the answer, which comes last. Raises PlimsollError."""
        prepared = self.prepare(question, history, limits=limits, labels=labels)
        yield prepared.retrieved
        if prepared.refused is not None:
            yield prepared.refused
            return
        began = self._clock()
        writing = self.writing(prepared)
        written = self._write(prepared.messages, prepared.limits.tokens, prepared.left)
        for piece in written:
            yield from writing.take(piece)
        yield from writing.end()
        yield writing.answer(written.ended or Ended(), began)

    def prepare(
        self,
        question: str,
        history: Sequence[Turn] = (),
        *,
        limits: Limits | None = None,
        labels: Collection[str] | None = None,
    ) -> Prepared:
        """All that is before the language model. Raises PlimsollError."""
        limits = within(self.settings.limits, limits)
        question = readable(question.strip())
        if not question:
            raise PlimsollError("there is no question", hint="ask something")
        if len(question) > LONGEST_QUESTION:
            text = f"the question has {len(question)} characters, more than {LONGEST_QUESTION}"
            raise PlimsollError(text, hint="shorten it")
        history = history[-MOST_TURNS:]
        began = self._clock()
        query = searched_for(question, history)
        took = Took()
        found = tuple(self.retrieve(query, limits.top, labels, took))
        searched = self._clock()
        stages = _searching(took, searched - began)
        language = language_of(question)
        retrieved = Retrieved(query=query, passages=found)
        nearest = max((each.relevance for each in found), default=0.0)
        if not found or nearest < self.settings.refuse:
            refused = _refused(question, query, found, language, stages)
            return Prepared(question=question, retrieved=retrieved, language=language, limits=limits, refused=refused)
        made = prompts.build(
            self.settings.rules,
            question,
            found,
            history,
            room=self.settings.context - limits.tokens,
            language=language,
        )
        prepared = self._clock()
        return Prepared(
            question=question,
            retrieved=retrieved,
            language=language,
            limits=limits,
            messages=made.messages,
            given=made.passages,
            stages=replace(stages, prompt=_ms(searched, prepared)),
            left=max(0.1, limits.seconds - (prepared - began)),
        )

    def writing(self, prepared: Prepared) -> Writing:
        """What takes the answer of the language model."""
        return Writing(prepared, self._clock)


def within(most: Limits, asked: Limits | None) -> Limits:
    """The limits that a caller asks for, which are never above those of the file."""
    if asked is None:
        return most
    return Limits(
        tokens=max(1, min(most.tokens, asked.tokens)),
        seconds=max(0.1, min(most.seconds, asked.seconds)),
        top=max(1, min(most.top, asked.top)),
    )


def searched_for(question: str, history: Sequence[Turn]) -> str:
    """What is searched for: a question that leans on the one before it is searched together with it."""
    if not history:
        return question
    language = language_of(question) or DEFAULT
    leans = len(stems_in(question, language)) < _FEW_STEMS or _LEANING & set(words(question))
    return f"{history[-1].question.strip()} {question}" if leans else question


class Writing:
    """An answer while it is written: gives its pieces, and each sentence with its support as soon as it is complete."""

    def __init__(self, prepared: Prepared, clock: Callable[[], float]) -> None:
        self._prepared = prepared
        self._passages = prepared.given
        self._question = prepared.question
        self._clock = clock
        self._text = ""
        self._given = 0
        self._judged = 0
        self._sentences: list[Marked] = []
        self._first: float | None = None
        self._last = 0.0
        self._judging = 0.0

    def take(self, piece: str) -> Iterator[Event]:
        """What is known with a piece of it."""
        self._last = self._clock()
        self._first = self._first if self._first is not None else self._last
        self._text += piece
        yield from self._marked(split(self._text, self._judged)[:-1])
        yield from self._up_to(len(self._text.rstrip()))

    def end(self) -> Iterator[Event]:
        """What is known when there are no more."""
        yield from self._marked(split(self._text, self._judged))

    def _marked(self, complete: Sequence[Sentence]) -> Iterator[Event]:
        for sentence in complete:
            yield from self._up_to(sentence.end)
            began = self._clock()
            marked = mark(sentence, self._passages, self._question)
            self._judging += self._clock() - began
            self._judged = sentence.end
            self._sentences.append(marked)
            yield marked

    def _up_to(self, end: int) -> Iterator[Event]:
        if end > self._given:
            yield Text(text=self._text[self._given : end])
            self._given = end

    def answer(self, ended: Ended, asked: float) -> Answer:
        """The whole; `asked` is when the language model was asked."""
        prepared, stages = self._prepared, self._prepared.stages
        found, language = prepared.retrieved.passages, prepared.language
        text = self._text.strip()
        stated = [each for each in self._sentences if each.support.verdict != "empty"]
        supported = [each for each in stated if each.support.verdict == "supported"]
        outcome: Outcome = "answered" if supported else "unsupported"
        if not supported and (not text or prompts.DECLINED.search(text.casefold())):
            outcome = "refused"
        by_number = {each.number: each.id for each in self._passages}
        used = [by_number[each.support.passages[0]] for each in supported]
        nearest = list(dict.fromkeys(each.id for each in found))
        return Answer(
            question=prepared.question,
            outcome=outcome,
            text=text or refusal(language, nearest),
            language=language,
            query=prepared.retrieved.query,
            passages=found,
            sentences=tuple(self._sentences),
            sources=tuple(dict.fromkeys(used if supported else nearest)),
            finish=ended.finish,
            prompt_tokens=ended.prompt_tokens,
            tokens=ended.tokens,
            stages=replace(
                stages,
                first_token=_ms(asked, self._first if self._first is not None else asked),
                answer=_ms(asked, max(asked, self._last) - self._judging),
                support=round(self._judging * 1000, 3),
            ),
        )


def _refused(question: str, query: str, found: tuple[Passage, ...], language: str | None, stages: Stages) -> Answer:
    nearest = tuple(dict.fromkeys(each.id for each in found))
    return Answer(
        question=question,
        outcome="refused",
        text=refusal(language, nearest),
        language=language,
        query=query,
        passages=found,
        sources=nearest,
        stages=stages,
    )


def _searching(took: Took, seconds: float) -> Stages:
    """The parts of a search, of which the rest of its time is the search itself."""
    rest = max(0.0, seconds - took.embed - took.rerank)
    return Stages(embed=_ms(0.0, took.embed), search=_ms(0.0, rest), rerank=_ms(0.0, took.rerank))


def _ms(began: float, ended: float) -> float:
    return round(max(0.0, ended - began) * 1000, 3)
