"""All that watches a service, as one observer of the inference server:

    --observer 'plimsoll.telemetry.service:watch={"audit_log": "audit.jsonl", "drift": [{"reference": "PATH"}]}'

Its metrics are on `/metrics`; on `/openmetrics` they come in the OpenMetrics format, with exemplars.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from plimsoll.errors import TargetError
from plimsoll.runtime.server.observers import Answer, Observer, Reply
from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.context import parse
from plimsoll.telemetry.logs import REQUEST_ID, WHO, Logs
from plimsoll.telemetry.requests import RequestFigures

if TYPE_CHECKING:
    from plimsoll.telemetry.drift.watch import DriftWatch

OPENMETRICS = "/openmetrics"
DRIFT = "/v2/drift"
FEEDBACK = "/v2/feedback"


class Part(Protocol):
    """What is told of answers."""

    def answered(self, answers: Sequence[Answer]) -> None:
        """Take note of answers."""

    def close(self) -> None:
        """Nothing comes after this."""


class _Collected:
    """Families as what prometheus_client takes for a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


class ServiceObserver(Observer):
    """Metrics always; logs, traces and drift where they are asked for; explanations of the requests that want them."""

    paths = (OPENMETRICS, DRIFT, FEEDBACK)
    headers = frozenset({"traceparent", "tracestate", REQUEST_ID, *WHO})

    def __init__(
        self,
        *,
        service: str = "",
        access_log: str = "",
        audit_log: str = "",
        payloads: bool = False,
        traces: bool = False,
        drift: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Raises PlimsollError for what cannot be had: a log, a reference, an extra."""
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._requests = RequestFigures(trace_of)
        self._parts: list[Part] = [self._requests]
        if access_log or audit_log:
            self._parts.append(Logs(access_log, audit_log, payloads=payloads, trace_of=trace_of))
        if traces:
            from plimsoll.telemetry.traces import Traces

            self._parts.append(Traces(service))
        self._watches = [_watch(settings) for settings in drift]
        self._parts += self._watches

    def answered(self, answers: Sequence[Answer]) -> None:
        """Tell every part."""
        for part in self._parts:
            part.answered(answers)

    def more_outputs(
        self, model: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """Contributions of each feature, for a request with the parameter `explain`."""
        if parameters.get("explain") is not True:
            return {}
        from plimsoll.runtime.explain.outputs import explanations

        return explanations(model.path, inputs)

    def respond(self, method: str, path: str, body: bytes) -> Reply:
        """OpenMetrics, drift and feedback."""
        if path.startswith(OPENMETRICS):
            page = generate_openmetrics(_Collected(self._all()))
            return Reply(status=200, body=page, content_type=CONTENT_TYPE_LATEST)
        wanted = "POST" if path.startswith(FEEDBACK) else "GET"
        if method != wanted:
            return _error(405, f"{path[:80]} takes {wanted}, not {method}")
        if path.startswith(DRIFT):
            return Reply(status=200, body=msgspec.json.encode({"versions": [one.state() for one in self._watches]}))
        if not self._watches:
            return _error(404, "this service watches no drift, and labels are compared with nothing")
        from plimsoll.telemetry.drift.watch import answer_feedback

        return answer_feedback(self._watches, body)

    def page(self) -> bytes:
        """The same metrics in the older text format, which has no place for exemplars."""
        return bytes(generate_latest(_Collected(self._all())))

    def close(self) -> None:
        """End every part."""
        for part in self._parts:
            part.close()

    def _all(self) -> list[Metric]:
        """Every family once, with the samples of all versions."""
        found: dict[str, Metric] = {}
        given = [self._requests.families(), *(one.families() for one in self._watches), self._process.collect()]
        for families in given:
            for family in families:
                if family.name not in found:
                    known = found[family.name] = Metric(family.name, family.documentation, family.type)
                else:
                    known = found[family.name]
                known.samples.extend(family.samples)
        return list(found.values())


def watch(**settings: Any) -> ServiceObserver:
    """The observer, from what a command line can say. Raises TargetError for a setting that there is not."""
    try:
        return ServiceObserver(**settings)
    except TypeError as error:
        raise TargetError(f"telemetry has no such setting: {error}", where="--observer") from error


def trace_of(answer: Answer) -> str:
    """The trace that the caller records and this answer belongs to."""
    context = parse(answer.headers.get("traceparent", ""))
    return context.trace if context is not None and context.sampled else ""


def _watch(settings: Mapping[str, Any]) -> DriftWatch:
    from plimsoll.telemetry.drift.watch import DriftWatch

    told = dict(settings)
    for name in ("reference", "state", "log"):
        if told.get(name):
            told[name] = Path(told[name])
    return DriftWatch(told.pop("reference"), **told)


def _error(status: int, reason: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode({"error": reason}))
