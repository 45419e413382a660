"""The interface for drift, access logs, traces and explanations: they observe the server here and nowhere else.

An observer is attached with `--observer package.module:name` (or `--observer 'package.module:name={"a": 1}'`): `name`
is called once in each server process, with the JSON object as keyword arguments, and returns an `Observer`.

One thread passes answers to the observers, in order and in batches, after the answers have been sent: a slow observer
delays no request. An observer that is more than `BACKLOG` answers behind loses the newest, which are counted
(`plimsoll_observations_lost_total`). An observer that raises is reported on standard error, at most once a minute; the
answers that it was given then count as lost, and it gets the next ones.

An `essential` observer, such as an audit log, loses nothing: while it is behind, or says that it has a `problem`, the
server refuses inferences.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.runtime.model import Model
from plimsoll.runtime.tensors import Array

BACKLOG = 20_000
"""Answers that may wait for the observers."""
BACKLOG_BYTES = 256 << 20
"""Bytes of their tensors that may wait: images are larger than rows."""
PAUSE = 0.05
"""Seconds between two batches: each batch costs one switch of threads, for any number of answers."""
REPORT_EVERY = 60.0
"""Seconds between two reports of failing observers."""
INFERENCE = "inference"
"""The event of an answer to a request for an inference; others are what was changed, such as `load` and `unload`."""
CALL = "call"
"""The event of every other request, and of one that was refused before it could be read."""
UNRECORDED = "unrecorded"
"""The event of inferences that were refused because they could not be recorded: `Answer.batch` is their number."""
TICK = 1.0
"""Seconds between two calls of `Observer.tick`."""


still_wanted: ContextVar[Callable[[], None]] = ContextVar("still_wanted", default=lambda: None)
"""For `Observer.more_outputs`: what it holds raises when nobody waits for the outputs any more."""


class Generated(Struct, frozen=True, kw_only=True):
    """What an answer of a language model has besides; the words are OpenTelemetry's for generative AI.

    `operation` is `chat`, `text_completion` or `invoke_agent`, `engine` is what computed it, `asked` what the request
    called the model. `waited` and `first_token` are seconds from the request; `first_token` is 0 where the answer came
    as a whole. The texts are empty unless an observer asks for them; `question` is the messages, or the prompt. Of an
    assistant's answer there are the seconds of its `stages`, its `outcome`, its `sentences` by whether a passage
    supports them, the ids of the documents that are its `sources`, and the `versions` of the index and the language
    model.
    """

    operation: str
    route: str
    engine: str
    asked: str
    stream: bool
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    most_tokens: int = 0
    waited: float = 0.0
    first_token: float = 0.0
    question: object = None
    answer: str = ""
    stages: Mapping[str, float] = {}
    outcome: str = ""
    sentences: Mapping[str, int] = {}
    sources: tuple[str, ...] = ()
    versions: Mapping[str, str] = {}


class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """One inference that was answered or refused, or one change of a model that somebody asked for (see `event`).

    `digest` is empty when the server has no such model; `model` is then the client's own word.
    `status` is 200, or the code of the refusal with its `reason`. `began` is in seconds since the epoch, `seconds` is
    the time from the request's last byte to the answer. `inputs` and `outputs` are empty when the request could not be
    read; the arrays are the server's own and must not be written to. `headers` has the request headers that an observer
    asks for, names in small letters. `client` is its address; `caller` is who proved to have sent it, empty where
    the server asks nobody. `batch` is the number of requests that were computed together; `shadow` marks a copy for a
    shadow version. `call` is the method and the path of what is no inference.
    """

    model: str
    version: str
    digest: str
    status: int
    began: float
    seconds: float
    inputs: Mapping[str, Array] = {}
    outputs: Mapping[str, Array] = {}
    headers: Mapping[str, str] = {}
    client: str = ""
    caller: str = ""
    id: str | None = None
    batch: int = 1
    shadow: bool = False
    reason: str = ""
    event: str = INFERENCE
    call: str = ""
    generated: Generated | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """The response of an observer to a request on one of its own paths."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Observer:
    """Observes a server. Subclasses override the methods that they need."""

    headers: frozenset[str] = frozenset()
    """Names of request headers, in small letters, to include in `Answer.headers`, such as `traceparent`."""
    paths: tuple[str, ...] = ()
    """Paths that this observer answers, with all below them, such as `/v2/feedback`."""
    guarded: frozenset[str] = frozenset()
    """Those of `paths` that only an administrator may call."""
    essential: bool = False
    """Whether nothing may be answered that this observer does not observe."""
    wants_texts: bool = False
    """Whether it is given what language models are asked and say, and not only how much."""
    sees_changes: bool = False
    """Whether it is given changes of models too, and not only inferences."""

    @property
    def problem(self) -> str:
        """Why it cannot observe at present, for clients to read; empty when it can."""
        return ""

    def answered(self, answers: Sequence[Answer]) -> None:
        """Observe answers; called in the observers' thread."""

    def tick(self) -> None:
        """Do what time asks for, also while there are no answers; called in the observers' thread."""

    def more_outputs(
        self, model: Model, parameters: Mapping[str, object], inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """Further outputs for a request with `parameters`, such as explanations.

        Called before the answer is sent, only for requests with parameters, in a thread of its own for all of them. A
        BadTensor refuses the request. What takes long calls `still_wanted.get()()` now and then, which raises
        TimeoutError when the time limit of the request has passed.
        """
        return {}

    @property
    def watches_ids(self) -> bool:
        """Whether `conflict` is to be asked."""
        return False

    def conflict(self, model: Model, identity: str, inputs: Mapping[str, Array]) -> str:
        """Why a request may not have the id that it has; empty when it may.

        Called in the event loop for each request with an id before it is computed, so it may not take long.
        """
        return ""

    def needs(self, parameters: Mapping[str, object]) -> bool:
        """Whether `more_outputs` needs what `prepare` makes, for a request with these parameters."""
        return False

    def prepare(self, model: Model) -> None:
        """Make what `more_outputs` needs once for a model, such as its trees; called before it, in a thread of its own.

        A request whose time limit passes meanwhile is told to try again, and the making goes on.
        """

    def respond(self, method: str, path: str, body: bytes) -> Reply:
        """Answer a request under one of `paths`; called in a worker thread."""
        raise NotImplementedError

    def page(self) -> bytes:
        """Prometheus text that follows the server's own on `/metrics`."""
        return b""

    def close(self) -> None:
        """Called last, after the server has drained."""


class Observers:
    """All observers of a server, and the thread that passes answers to them."""

    def __init__(self, watching: Sequence[Observer] = ()) -> None:
        self.watching = list(watching)
        self.headers: frozenset[str] = frozenset().union(*(observer.headers for observer in watching))
        self.watching_ids = [observer for observer in watching if observer.watches_ids]
        self.wants_texts = any(observer.wants_texts for observer in watching)
        self.lost = 0
        self.blocked = ""
        """Why inferences are refused at present; empty when they are not."""
        self.unrecorded = 0
        """Inferences that were refused while `blocked`, since the last one that could be recorded."""
        self._essential = any(observer.essential for observer in watching)
        self._sees_changes = any(observer.sees_changes for observer in watching)
        self._ticked = 0.0
        self._reported = -REPORT_EVERY
        self._waiting: deque[Answer] = deque()
        self._bytes = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, name="observers", daemon=True)
        if self.watching:
            self._thread.start()

    def answered(self, answer: Answer) -> None:
        """Queue an answer for the observers' thread; this costs about a microsecond."""
        for tensors in (answer.inputs, answer.outputs):
            for array in tensors.values():
                self._bytes += array.nbytes
        if len(self._waiting) < BACKLOG and self._bytes < BACKLOG_BYTES:
            self._waiting.append(answer)
        elif self._essential:
            self._waiting.append(answer)
            self.blocked = "what must be recorded of each request cannot be recorded fast enough"
        else:
            self.lost += 1

    @property
    def sees_changes(self) -> bool:
        """Whether what is no inference is to be recorded at all."""
        return self._sees_changes

    def at(self, path: str) -> Observer | None:
        """The observer that answers a path, if there is one."""
        for observer in self.watching:
            if any(path == own or path.startswith(own + "/") for own in observer.paths):
                return observer
        return None

    def is_guarded(self, path: str) -> bool:
        """Whether only an administrator may call a path of an observer."""
        guarded = [own for observer in self.watching for own in observer.guarded]
        return any(path == own or path.startswith(own + "/") for own in guarded)

    def page(self) -> bytes:
        """The observers' own metrics."""
        return b"".join(observer.page() for observer in self.watching)

    def close(self) -> None:
        """Pass on the last answers and end; a hanging observer is given two seconds."""
        self._ending.set()
        if self.watching:
            self._thread.join(2.0)
        for observer in self.watching:
            observer.close()

    def _pass_on(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(PAUSE)
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            # Dropped answers count until the next batch: the sum is too large at times, and never without a bound.
            self._bytes = 0
            if batch or self.blocked:
                self._pass_batch(batch)
                self.blocked = next(filter(None, (each.problem for each in self.watching if each.essential)), "")
                self._tell_unrecorded()
            elif time.monotonic() - self._ticked >= TICK:
                self._ticked = time.monotonic()
                self._tick()

    def _tell_unrecorded(self) -> None:
        """Record how many were refused, now that it can be recorded again."""
        count = self.unrecorded
        if count and not self.blocked:
            self.unrecorded -= count
            reason = "inferences were refused while they could not be recorded"
            self.answered(
                Answer(
                    model="", version="", digest="", status=503, began=time.time(), seconds=0.0,
                    batch=count, reason=reason, event=UNRECORDED,
                )
            )  # fmt: skip

    def _tick(self) -> None:
        for observer in self.watching:
            try:
                observer.tick()
            except Exception:  # noqa: BLE001 - an observer's defect must not end the service that it watches
                self._report()

    def _pass_batch(self, batch: Sequence[Answer]) -> None:
        inferences = [answer for answer in batch if answer.event == INFERENCE]
        for observer in self.watching:
            try:
                observer.answered(batch if observer.sees_changes else inferences)
            except Exception:  # noqa: BLE001 - an observer's defect must not end the service that it watches
                self.lost += len(batch)
                self._report()

    def _report(self) -> None:
        """Print the failure that is being handled, at most once every `REPORT_EVERY` seconds."""
        if time.monotonic() - self._reported >= REPORT_EVERY:
            self._reported = time.monotonic()
            sys.stderr.write(f"an observer failed:\n{traceback.format_exc()}")


def observer_from(written: str) -> Observer:
    """A new observer from `package.module:name` or `package.module:name={…}`. Raises TargetError."""
    place, _, arguments = written.partition("=")
    module, _, name = place.partition(":")
    try:
        made: object = getattr(importlib.import_module(module), name)(**json.loads(arguments or "{}"))
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        hint = 'write it as package.module:name or package.module:name={"argument": value}'
        raise TargetError(f"the observer cannot be attached: {error}", where=written, hint=hint) from error
    if not isinstance(made, Observer):
        raise TargetError(f"this returns a {type(made).__name__}, not an Observer", where=written)
    return made
