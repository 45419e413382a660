"""The observer of the inference server for all telemetry of a service:

    --observer 'plimsoll.telemetry.service:watch={"audit_log": "audit.jsonl", "drift": [{"reference": "PATH"}]}'

`/metrics` has its metrics. `/openmetrics` has the same metrics in the OpenMetrics format, with exemplars.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.server.observers import INFERENCE, Answer, Observer, Reply, still_wanted
from plimsoll.runtime.tensors import Array
from plimsoll.telemetry import catalogue
from plimsoll.telemetry.audit_file import WhenFull
from plimsoll.telemetry.context import parse_traceparent
from plimsoll.telemetry.logs import RequestLogs
from plimsoll.telemetry.request_lines import REQUEST_ID, USER_HEADERS
from plimsoll.telemetry.requests import RequestMetrics

if TYPE_CHECKING:
    from plimsoll.runtime.explain.sampling import Sampling
    from plimsoll.runtime.model import Model, OnnxModel
    from plimsoll.telemetry.drift.watch import DriftWatch

Settings = Mapping[str, Any]
"""Settings from JSON on a command line. The constructor that they are passed to checks names and types."""
OPENMETRICS = "/openmetrics"
DRIFT = "/v2/drift"
FEEDBACK = "/v2/feedback"


class AnswerConsumer(Protocol):
    """A part of telemetry that receives all answers of the server."""

    def answered(self, answers: Sequence[Answer]) -> None:
        """Record answers."""

    def close(self) -> None:
        """Close files and connections. No more answers follow."""


class _FamilyCollector:
    """Makes metric families a collector for prometheus_client."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


class ServiceObserver(Observer):
    """Always exposes metrics. Logs, traces and drift are optional; requests can ask for explanations."""

    paths = (OPENMETRICS, DRIFT, FEEDBACK)
    guarded = frozenset({FEEDBACK})
    sees_changes = True
    headers = frozenset({"traceparent", "tracestate", REQUEST_ID, *USER_HEADERS})

    def __init__(
        self,
        *,
        service: str = "",
        access_log: str = "",
        audit_log: str = "",
        audit_full: WhenFull = "stop",
        audit_key: str = "",
        payloads: bool = False,
        traces: bool = False,
        drift: Sequence[Settings] = (),
        drift_file: str = "",
        explain: Settings | None = None,
    ) -> None:
        """Set up telemetry. Raises PlimsollError when a log, a drift reference or an extra is missing.

        When the disk of the audit log is full, `audit_full` says whether the server stops answering; `audit_key` is the
        directory of the key that signs the log. `drift_file` is a list such as `drift` in JSON. It is read again when
        it changes: versions come and go. With `explain`, models are explained by shap within its budget; without it,
        exactly and by their trees.
        """
        self._sampling = _sampling(explain) if explain is not None else None
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._requests = RequestMetrics(trace_of)
        self._parts: list[AnswerConsumer] = [self._requests]
        self._logs: RequestLogs | None = None
        self.essential = bool(audit_log) and audit_full == "stop"
        self.wants_texts = bool(audit_log) and payloads
        self._audits = bool(audit_log)
        if access_log or audit_log:
            self._logs = RequestLogs(
                access_log, audit_log, payloads=payloads, trace_of=trace_of, full=audit_full, key=audit_key
            )
        if traces:
            from plimsoll.telemetry.traces import TraceExporter

            self._parts.append(TraceExporter(service))
        self._watched = [(settings, _drift_watch(settings)) for settings in drift]
        self._drift_file = Path(drift_file) if drift_file else None
        self._drift_read = _changed_at(self._drift_file)

    @property
    def _watches(self) -> list[DriftWatch]:
        return [watched for _, watched in self._watched]

    def _follow_drift_file(self) -> None:
        """Watch the versions that the file names now, and no others."""
        changed = _changed_at(self._drift_file)
        if self._drift_file is None or changed == self._drift_read:
            return
        self._drift_read = changed
        try:
            wanted = msgspec.json.decode(self._drift_file.read_bytes(), type=list[dict[str, Any]])
        except (*UNREADABLE, OSError) as error:
            sys.stderr.write(f"{self._drift_file}: the drift settings cannot be read: {error}\n")
            return
        before, watched = self._watched, []
        for settings in wanted:
            known = next((pair for pair in before if pair[0] == settings), None)
            try:
                watched.append(known or (settings, _drift_watch(settings)))
            except PlimsollError as error:
                sys.stderr.write(f"drift is not watched: {error.on_one_line()}\n")
        self._watched = watched
        for pair in before:
            if pair not in watched:
                pair[1].close()

    def answered(self, answers: Sequence[Answer]) -> None:
        """Log answers, and pass those to inferences to every part. One part's failure is not another's."""
        self._follow_drift_file()
        if self._logs is not None:
            self._logs.answered(answers)
        inferences = [answer for answer in answers if answer.event == INFERENCE]
        failure: Exception | None = None
        for part in (*self._parts, *self._watches):
            try:
                part.answered(inferences)
            except Exception as error:  # noqa: BLE001 - it is raised again when the other parts have had their turn
                failure = error
        if failure is not None:
            raise failure

    def tick(self) -> None:
        """Sign the audit log when it is time."""
        if self._logs is not None:
            self._logs.tick()

    @property
    def problem(self) -> str:
        """Why inferences cannot be audited at present."""
        return self._logs.problem if self._logs is not None else ""

    def more_outputs(
        self,
        model: Model,
        parameters: Mapping[str, object],
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
    ) -> Mapping[str, Array]:
        """The contributions of each feature, for a request with the parameter `explain`."""
        if parameters.get("explain") is not True:
            return {}
        from plimsoll.runtime.explain.outputs import explanations

        model = _explainable(model)
        if self._sampling is not None:
            return self._sampling.explanations(model, inputs, still_wanted.get())
        return explanations(model.path, inputs, model.require_unaltered, still_wanted.get())

    @property
    def watches_ids(self) -> bool:
        """Labels are joined by the ids of requests."""
        return bool(self._watches)

    def conflict(self, model: Model, identity: str, inputs: Mapping[str, Array]) -> str:
        """Why a request may not have its id: it would take the labels of another, or the other way round."""
        return next(filter(None, (watch.conflict(model.digest, identity, inputs) for watch in self._watches)), "")

    def needs(self, parameters: Mapping[str, object]) -> bool:
        """Explanations need the trees of the model, or a process that explains it."""
        return parameters.get("explain") is True

    def prepare(self, model: Model) -> None:
        """Read the trees of a model before its first explanation, or start the process that explains it."""
        from plimsoll.runtime.explain.outputs import read_trees

        model = _explainable(model)
        if self._sampling is not None:
            self._sampling.prepare(model)
            return
        read_trees(model.path, model.require_unaltered)

    def respond(self, method: str, path: str, body: bytes) -> Reply:
        """Answer requests for OpenMetrics, drift and feedback."""
        if path.startswith(OPENMETRICS):
            page = generate_openmetrics(_FamilyCollector(self._merged_families()))
            return Reply(status=200, body=page, content_type=CONTENT_TYPE_LATEST)
        expected = "POST" if path.startswith(FEEDBACK) else "GET"
        if method != expected:
            return _error_reply(405, f"{path[:80]} accepts {expected}, not {method}")
        if path.startswith(DRIFT):
            return Reply(status=200, body=msgspec.json.encode({"versions": [one.state() for one in self._watches]}))
        if not self._watches:
            return _error_reply(404, "this service has no drift reference, so it cannot match labels")
        from plimsoll.telemetry.drift.watch import answer_feedback

        return answer_feedback(self._watches, body)

    def page(self) -> bytes:
        """The same metrics in Prometheus' text format, which cannot carry exemplars."""
        return bytes(generate_latest(_FamilyCollector(self._merged_families())))

    def close(self) -> None:
        """Close every part."""
        if self._sampling is not None:
            self._sampling.close()
        if self._logs is not None:
            self._logs.close()
        for part in (*self._parts, *self._watches):
            part.close()

    def _merged_families(self) -> list[Metric]:
        """Each metric family once, with the samples of all versions."""
        found: dict[str, Metric] = {}
        given = [self._requests.families(), *(one.families() for one in self._watches), self._process.collect()]
        if self._audits and self._logs is not None:
            lost = catalogue.AUDIT_LOST.counter()
            lost.add_metric([], self._logs.lost)
            given.append([lost])
        for families in given:
            for family in families:
                if family.name not in found:
                    known = found[family.name] = Metric(family.name, family.documentation, family.type)
                else:
                    known = found[family.name]
                known.samples.extend(family.samples)
        return list(found.values())


def watch(**settings: Any) -> ServiceObserver:
    """Create the observer from settings of the command line. Raises TargetError for an unknown setting."""
    try:
        return ServiceObserver(**settings)
    except (TypeError, msgspec.ValidationError) as error:
        raise TargetError(f"unknown telemetry setting: {error}", where="--observer") from error


def trace_of(answer: Answer) -> str:
    """The trace id of an answer, empty unless the caller records the trace."""
    if not answer.headers:
        return ""
    context = parse_traceparent(answer.headers.get("traceparent", ""))
    return context.trace if context is not None and context.sampled else ""


def _drift_watch(settings: Settings) -> DriftWatch:
    from plimsoll.telemetry.drift.watch import DriftWatch

    arguments = dict(settings)
    for name in ("reference", "state", "log"):
        if arguments.get(name):
            arguments[name] = Path(arguments[name])
    return DriftWatch(arguments.pop("reference"), **arguments)


def _changed_at(path: Path | None) -> int:
    """When a file was last changed; 0 without one."""
    try:
        return path.stat().st_mtime_ns if path is not None else 0
    except OSError:
        return 0


def _error_reply(status: int, reason: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode({"error": reason}))


def _sampling(settings: Settings) -> Sampling:
    from plimsoll.runtime.explain.sampled_settings import SampledSettings
    from plimsoll.runtime.explain.sampling import Sampling

    return Sampling(msgspec.convert(settings, type=SampledSettings))


def _explainable(model: Model) -> OnnxModel:
    """The model, when it has a file that can be explained. Raises BadTensor for the user's own code."""
    from plimsoll.runtime.model import OnnxModel
    from plimsoll.runtime.tensors import BadTensor

    if not isinstance(model, OnnxModel):
        raise BadTensor(f"'{model.spec.name}' is the user's own code: only ONNX models can be explained")
    return model
