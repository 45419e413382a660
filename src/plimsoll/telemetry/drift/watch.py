"""Watch the drift of a served model: rows come from its answers, labels from feedback calls; alarms go to a log.

A thread ticks each second. Requests for metrics get those of the last tick and never wait.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from prometheus_client.core import Metric

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import MissingExtra
from plimsoll.files import replace_file
from plimsoll.runtime.server.observers import Answer, Reply
from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.build_reference import read_reference
from plimsoll.telemetry.drift.columns import input_columns, output_columns, prediction_column
from plimsoll.telemetry.drift.feedback import AccuracyAlarm, AccuracyScores
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.metrics import AccuracyMetrics, drift_families
from plimsoll.telemetry.drift.monitor import AlarmChange, DriftMonitor
from plimsoll.telemetry.drift.pending import Label, LabelledPrediction, PendingPredictions
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.telemetry.drift.statistics import scipy_special
from plimsoll.telemetry.json_lines import JsonLinesFile
from plimsoll.telemetry.request_lines import REQUEST_ID
from plimsoll.telemetry.requests import request_rows

TICK_SECONDS = 1.0
"""Seconds between two ticks."""


class LabelOfRequest(Struct, frozen=True):
    """A late label for the request `id`. `row` is the row in the request, from 0."""

    id: str
    label: Label
    row: int = 0


@decodable
class Feedback(Struct, frozen=True):
    """The body of a feedback call."""

    labels: tuple[LabelOfRequest, ...]


class DriftWatch:
    """Compares one model version with its reference.

    `state` is a file with the drift state for other processes. `log` gets a line of JSON for each alarm that is raised
    or cleared; `-` is standard output. `promised` is the accuracy of acceptance.
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
        """Start watching. Raises PlimsollError without a valid reference, MissingExtra without scipy or river."""
        self.reference = read_reference(reference)
        # Import scipy before the first request, so that no window waits for it.
        scipy_special()
        if importlib.util.find_spec("river") is None:
            raise MissingExtra("drift", "accuracy from late labels")
        now = datetime.now(UTC)
        self.monitors = (DriftMonitor(self.reference.inputs, now), DriftMonitor(self.reference.outputs, now))
        self.predictions = PendingPredictions()
        self.limits = DriftLimits()
        self._promised = promised
        self._scores: AccuracyScores | None = None
        self._pairs: list[LabelledPrediction] = []
        self._spec = self.reference.spec
        self._model, self._version = self._spec.name, version
        self._state, self._log = state, JsonLinesFile(str(log)) if log is not None else None
        self._accuracy: AccuracyAlarm | None = None
        self._families: Sequence[Metric] = ()
        self._refresh_families()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._run_clock, name="drift", daemon=True)
        self._ticker.start()

    def answered(self, answers: Sequence[Answer]) -> None:
        """Add the rows of successful answers."""
        watched = [answer for answer in answers if self._is_watched(answer)]
        if not watched:
            return
        with self._lock:
            self._version = watched[-1].version
            for group in _group_by_shape(watched):
                # Join many small requests to one table: columns cost the same for one row as for thousands.
                inputs = _concatenate([answer.inputs for answer in group])
                outputs = output_columns(_concatenate([answer.outputs for answer in group]), self._spec)
                self.monitors[0].add(input_columns(inputs, self._spec))
                self.monitors[1].add(outputs)
                self._add_predictions(group, outputs)

    def families(self) -> Sequence[Metric]:
        """The metric families of the newest window, alarms and scores, as of the last tick."""
        return self._families

    def close(self) -> None:
        """Stop the thread and write the last state."""
        self._stopping.set()
        self._ticker.join(2.0)
        self._write_state()
        if self._log is not None:
            self._log.close()

    def state(self) -> DriftState:
        """The present alarms and scores."""
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

    def _refresh_families(self) -> None:
        scores, labels = (self._scores.figures(), self._scores.labels) if self._scores else ({}, 0)
        accuracy = AccuracyMetrics(
            scores=scores, labels=labels, unmatched=self.predictions.unmatched, alarm=self._accuracy is not None
        )
        self._families = drift_families(self._model, self._version, self.monitors, accuracy)

    def _run_clock(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self._tick(datetime.now(UTC))

    def _tick(self, now: datetime) -> None:
        self._score(now)
        with self._lock:
            before = [monitor.judged for monitor in self.monitors]
            changes = [change for monitor in self.monitors for change in monitor.tick(now)]
            judged = before != [monitor.judged for monitor in self.monitors]
            self._refresh_families()
        if changes:
            self._log_changes(changes)
        if judged:
            self._write_state()

    def _log_changes(self, changes: Sequence[AlarmChange]) -> None:
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
            try:
                replace_file(self._state, msgspec.json.encode(self.state()))
            except OSError as error:
                # The next window writes it again; the drift of this process is judged all the same.
                sys.stderr.write(f"the state of drift cannot be written: {error.strerror}: {self._state}\n")

    def _is_watched(self, answer: Answer) -> bool:
        """Whether the answer is of this model and version. Others in the same process have their own watch."""
        is_ours = answer.model == self._model and answer.digest == self.reference.model
        return is_ours and answer.status == 200 and not answer.shadow and bool(answer.inputs)

    def _add_predictions(self, answers: Sequence[Answer], outputs: Mapping[str, Array]) -> None:
        chosen = prediction_column(outputs)
        if chosen is None:
            return
        values = chosen.tolist()
        first = 0
        for answer in answers:
            rows = request_rows(answer)
            name = answer.id or answer.headers.get(REQUEST_ID)
            if name:
                found = values[first : first + rows]
                self.predictions.add(name, found, answer.inputs, answer.client, answer.began)
            first += rows

    def has_prediction(self, label: LabelOfRequest) -> bool:
        """Whether this version made the prediction of a label."""
        return self.predictions.has(label.id, label.row)

    def conflict(self, digest: str, identity: str, inputs: Mapping[str, Array]) -> str:
        """Why a request for this model may not have its id; empty when it may."""
        if digest != self.reference.model or not self.predictions.taken(identity, inputs, time.time()):
            return ""
        return (
            f"the id '{identity[:80]}' is that of another request, which waits for its label: "
            "give each request an id of its own, or none"
        )

    def add_labels(self, labels: Sequence[LabelOfRequest]) -> int:
        """Add labels. Returns the number with a matching prediction. The next tick updates the scores."""
        with self._lock:
            now = time.time()
            pairs = [
                pair for one in labels if (pair := self.predictions.join(one.id, one.row, one.label, now)) is not None
            ]
            self._pairs += pairs
            return len(pairs)

    def _score(self, now: datetime) -> None:
        """Add the waiting labelled predictions to the scores."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        if not pairs:
            return
        # The first call imports river, which takes seconds. No request waits for it.
        scores = self._scores or AccuracyScores(self._promised, self.limits)
        for pair in pairs:
            scores.add(pair, now)
        with self._lock:
            self._scores, self._accuracy = scores, scores.alarm()


def answer_feedback(watches: Sequence[DriftWatch], body: bytes) -> Reply:
    """Answer a feedback call with the number of matched labels. Each label goes to the version that predicted."""
    try:
        feedback = msgspec.json.decode(body, type=Feedback)
    except UNREADABLE as error:
        return _error_reply(400, f"the body is not valid feedback: {error}")
    groups: dict[int, list[LabelOfRequest]] = {}
    for label in feedback.labels:
        place = next((place for place, watch in enumerate(watches) if watch.has_prediction(label)), 0)
        groups.setdefault(place, []).append(label)
    joined = sum(watches[place].add_labels(labels) for place, labels in groups.items())
    counts = {"joined": joined, "unmatched": len(feedback.labels) - joined}
    return Reply(status=200, body=msgspec.json.encode(counts))


def _group_by_shape(answers: Sequence[Answer]) -> Iterable[list[Answer]]:
    """Group answers by the shape of their rows, so that their tensors can be concatenated."""
    groups: dict[tuple[object, ...], list[Answer]] = {}
    for answer in answers:
        tensors = (*answer.inputs.items(), *answer.outputs.items())
        shape = tuple((name, array.dtype, array.shape[1:], array.ndim) for name, array in tensors)
        if all(array.ndim and len(array) == request_rows(answer) for _, array in tensors):
            groups.setdefault(shape, []).append(answer)
    return groups.values()


def _concatenate(tensors: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    if len(tensors) == 1:
        return dict(tensors[0])
    return {name: np.concatenate([one[name] for one in tensors]) for name in tensors[0]}


def _error_reply(status: int, reason: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode({"error": reason}))
