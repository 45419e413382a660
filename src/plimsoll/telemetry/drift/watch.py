"""Drift of a model that is being served: rows from its answers, labels from a feedback call, alarms out.

A thread looks at the clock each second; whoever asks for figures gets those of its last look and waits for nothing.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from prometheus_client.core import Metric

from plimsoll.decoding import decodable
from plimsoll.errors import MissingExtra
from plimsoll.files import replace_file
from plimsoll.runtime.server.observers import Answer, Reply
from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.columns import input_columns, output_columns
from plimsoll.telemetry.drift.feedback import AccuracyAlarm, Joined, Label, Memory, Scores
from plimsoll.telemetry.drift.figures import AccuracyFigures, families
from plimsoll.telemetry.drift.limits import Limits
from plimsoll.telemetry.drift.making import read_reference
from plimsoll.telemetry.drift.monitor import Change, Monitor
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.telemetry.drift.statistics import special
from plimsoll.telemetry.logs import REQUEST_ID, Lines
from plimsoll.telemetry.requests import rows_of

PULSE = 1.0
"""Seconds between two looks at the clock."""


def identity(request: str, row: int) -> str:
    """What the prediction of one row of a request is remembered by."""
    return f"{request}\n{row}"


class LabelOfRequest(Struct, frozen=True):
    """A label that has come to be known, for the request with this id. `row` counts within the request, from 0."""

    id: str
    label: Label
    row: int = 0

    @property
    def identity(self) -> str:
        """What a prediction is remembered by."""
        return identity(self.id, self.row)


@decodable
class Feedback(Struct, frozen=True):
    """The body of a feedback call."""

    labels: tuple[LabelOfRequest, ...]


class DriftWatch:
    """Watches one model version against its reference.

    `state` is a file that tells other processes how things stand; `log` gets a line of JSON for each alarm that is
    raised or cleared, `-` is standard output; `promised` is the accuracy that the model was accepted with.
    """

    def __init__(
        self,
        reference: Path,
        *,
        version: str = "",
        state: Path | None = None,
        log: Path | None = None,
        promised: float | None = None,
    ) -> None:
        """Raises PlimsollError when there is no such reference, MissingExtra without scipy or river."""
        self.reference = read_reference(reference)
        # Loaded before the first request, so that no window waits for it.
        special()
        if importlib.util.find_spec("river") is None:
            raise MissingExtra("drift", "accuracy from late labels")
        now = datetime.now(UTC)
        self.monitors = (Monitor(self.reference.inputs, now), Monitor(self.reference.outputs, now))
        self.memory = Memory()
        self.limits = Limits()
        self._promised = promised
        self._scores: Scores | None = None
        self._pairs: list[Joined] = []
        self._spec = self.reference.spec
        self._model, self._version = self._spec.name, version
        self._state, self._log = state, Lines(str(log)) if log is not None else None
        self._accuracy: AccuracyAlarm | None = None
        self._families: Sequence[Metric] = ()
        self._take_figures()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="drift", daemon=True)
        self._pulse.start()

    def answered(self, answers: Sequence[Answer]) -> None:
        """Take the rows of what was answered well."""
        watched = [answer for answer in answers if self._is_watched(answer)]
        if not watched:
            return
        with self._lock:
            self._version = watched[-1].version
            for alike in _alike(watched):
                # Many small requests as one table: making columns costs the same for one row as for thousands.
                inputs = _together([answer.inputs for answer in alike])
                outputs = output_columns(_together([answer.outputs for answer in alike]), self._spec)
                self.monitors[0].add(input_columns(inputs, self._spec))
                self.monitors[1].add(outputs)
                self._remember(alike, outputs)

    def families(self) -> Sequence[Metric]:
        """The figures of the newest window, alarms and scores, as of the last look at the clock."""
        return self._families

    def close(self) -> None:
        """Write the last state."""
        self._ending.set()
        self._pulse.join(2.0)
        self._write_state()
        if self._log is not None:
            self._log.close()

    def state(self) -> DriftState:
        """Alarms and figures as they stand."""
        with self._lock:
            alarms = [alarm.words for monitor in self.monitors for alarm in monitor.alarms.values()]
            alarms += [self._accuracy.words] if self._accuracy else []
            return DriftState(
                model=self._model,
                version=self._version,
                rows=self.monitors[0].rows,
                skipped=self.monitors[0].skipped,
                windows=self.monitors[0].judged,
                alarms=tuple(alarms),
                scores=self._scores.figures() if self._scores else {},
                labels=self._scores.labels if self._scores else 0,
                changed=self._scores.changed if self._scores else None,
            )

    def _take_figures(self) -> None:
        scores, labels = (self._scores.figures(), self._scores.labels) if self._scores else ({}, 0)
        accuracy = AccuracyFigures(
            scores=scores, labels=labels, unmatched=self.memory.unmatched, alarm=self._accuracy is not None
        )
        self._families = families(self._model, self._version, self.monitors, accuracy)

    def _beat(self) -> None:
        while not self._ending.wait(PULSE):
            self._tick(datetime.now(UTC))

    def _tick(self, now: datetime) -> None:
        self._score(now)
        with self._lock:
            before = [monitor.judged for monitor in self.monitors]
            changes = [change for monitor in self.monitors for change in monitor.tick(now)]
            judged = before != [monitor.judged for monitor in self.monitors]
            self._take_figures()
        if changes:
            self._tell(changes)
        if judged:
            self._write_state()

    def _tell(self, changes: Sequence[Change]) -> None:
        if self._log is None:
            return
        lines = [
            {
                "at": change.at,
                "event": "drift-raised" if change.raised else "drift-cleared",
                "model": self._model,
                "version": self._version,
                "digest": self.reference.model,
                "words": change.alarm.words,
                "alarm": change.alarm,
            }
            for change in changes
        ]
        self._log.write(lines)

    def _write_state(self) -> None:
        if self._state is not None:
            replace_file(self._state, msgspec.json.encode(self.state()))

    def _is_watched(self, answer: Answer) -> bool:
        """Another model or version in the same process has a reference of its own."""
        ours = answer.model == self._model and answer.digest == self.reference.model
        return ours and answer.status == 200 and not answer.shadow and bool(answer.inputs)

    def _remember(self, answers: Sequence[Answer], outputs: Mapping[str, Array]) -> None:
        chosen = _prediction(outputs)
        if chosen is None:
            return
        values = chosen.tolist()
        first = 0
        for answer in answers:
            rows = rows_of(answer)
            name = answer.id or answer.headers.get(REQUEST_ID)
            if name:
                for row in range(rows):
                    self.memory.remember(identity(name, row), values[first + row], answer.began)
            first += rows

    def knows(self, label: LabelOfRequest) -> bool:
        """Whether this version predicted what the label is for."""
        return label.identity in self.memory

    def learn(self, labels: Sequence[LabelOfRequest]) -> int:
        """Take labels; gives how many found a prediction. What they say comes with the next look at the clock."""
        with self._lock:
            now = time.time()
            pairs = [pair for one in labels if (pair := self.memory.join(one.identity, one.label, now)) is not None]
            self._pairs += pairs
            return len(pairs)

    def _score(self, now: datetime) -> None:
        """Take in the pairs that wait."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        if not pairs:
            return
        # The first time loads river, which takes seconds: nobody's request waits for it.
        scores = self._scores or Scores(self._promised, self.limits)
        for pair in pairs:
            scores.add(pair, now)
        with self._lock:
            self._scores, self._accuracy = scores, scores.alarm()


def answer_feedback(watches: Sequence[DriftWatch], body: bytes) -> Reply:
    """What a feedback call is told: how many labels found a prediction. Each goes to the version that predicted."""
    try:
        feedback = msgspec.json.decode(body, type=Feedback)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refused(400, f"this is no feedback: {error}")
    groups: dict[int, list[LabelOfRequest]] = {}
    for label in feedback.labels:
        place = next((place for place, watch in enumerate(watches) if watch.knows(label)), 0)
        groups.setdefault(place, []).append(label)
    joined = sum(watches[place].learn(labels) for place, labels in groups.items())
    told = {"joined": joined, "unmatched": len(feedback.labels) - joined}
    return Reply(status=200, body=msgspec.json.encode(told))


def _alike(answers: Sequence[Answer]) -> Iterable[list[Answer]]:
    """Answers by the shape of their rows, so that their tensors can be put together."""
    groups: dict[tuple[object, ...], list[Answer]] = {}
    for answer in answers:
        tensors = (*answer.inputs.items(), *answer.outputs.items())
        shape = tuple((name, array.dtype, array.shape[1:], array.ndim) for name, array in tensors)
        if all(array.ndim and len(array) == rows_of(answer) for _, array in tensors):
            groups.setdefault(shape, []).append(answer)
    return groups.values()


def _together(tensors: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    if len(tensors) == 1:
        return dict(tensors[0])
    return {name: np.concatenate([one[name] for one in tensors]) for name in tensors[0]}


def _prediction(outputs: Mapping[str, Array]) -> Array | None:
    """The column that a label is compared with: the label where there is one, else the only column."""
    if "label" in outputs:
        return outputs["label"]
    return next(iter(outputs.values())) if len(outputs) == 1 else None


def _refused(status: int, reason: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode({"error": reason}))
