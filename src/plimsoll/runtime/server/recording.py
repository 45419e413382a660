"""What is recorded of an inference: counts and latency for the metrics, and an observation for the observers."""

from __future__ import annotations

import time
from collections.abc import Mapping

from plimsoll.runtime.server.identities.callers import present
from plimsoll.runtime.server.inference import Inference
from plimsoll.runtime.server.observers import CALL, INFERENCE, Answer, Observers
from plimsoll.runtime.server.refusals import Refusal
from plimsoll.runtime.tensors import Array

OK = 200
"""The code of an answered inference; the others are those of the refusals."""
LONGEST_NAME = 80
"""Characters of a model's name that are recorded when the server has no such model."""
LONGEST_CALL = 200
"""Characters of a method and a path that are recorded."""
_NOTHING: Mapping[str, Array] = {}
_NO_HEADERS: Mapping[str, str] = {}


class Recorder:
    """Counts inferences and passes them to the observers."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers

    def record(
        self, inference: Inference, code: int, results: Mapping[str, Array] = _NOTHING, *, reason: str = ""
    ) -> None:
        """Record one inference that has ended."""
        served = inference.served
        seconds = time.perf_counter() - inference.began
        record = served.shadow_record if inference.shadow else served.record
        record.add(code, seconds)
        record.runs += 1 / inference.batch
        if self._observers.watching:
            self._observe(inference, code, results, reason, seconds)

    def record_unserved(
        self, model: str, version: str | None, headers: Mapping[str, str], client: str, refusal: Refusal
    ) -> None:
        """Record a request for an inference for which no version of a model was found. Its name is shortened."""
        self.record_event(INFERENCE, model, headers, client, refusal, version=version or "")

    def record_event(
        self,
        event: str,
        model: str,
        headers: Mapping[str, str],
        client: str,
        refusal: Refusal | None,
        *,
        version: str = "",
        began: float | None = None,
    ) -> None:
        """Record what is not an inference of a loaded version; `began` is a time of `time.perf_counter`."""
        if not self._observers.watching:
            return
        wanted = self._observers.headers
        seconds = time.perf_counter() - began if began is not None else 0.0
        self._observers.answered(
            Answer(
                model=model[:LONGEST_NAME],
                version=version[:LONGEST_NAME],
                digest="",
                status=refusal.code if refusal else OK,
                began=time.time() - seconds,
                seconds=seconds,
                headers=_chosen(headers, wanted),
                client=client,
                caller=present.get().name,
                reason=str(refusal) if refusal else "",
                event=event,
            )
        )

    def record_call(
        self, call: str, headers: Mapping[str, str], client: str, status: int, reason: str, began: float | None
    ) -> None:
        """Record a request that is no inference; `call` is its method and path."""
        wanted = self._observers.headers
        seconds = time.perf_counter() - began if began is not None else 0.0
        self._observers.answered(
            Answer(
                model="",
                version="",
                digest="",
                status=status,
                began=time.time() - seconds,
                seconds=seconds,
                headers=_chosen(headers, wanted),
                client=client,
                caller=present.get().name,
                reason=reason,
                event=CALL,
                call=call[:LONGEST_CALL],
            )
        )

    def _observe(
        self, inference: Inference, code: int, results: Mapping[str, Array], reason: str, seconds: float
    ) -> None:
        served, request = inference.served, inference.request
        wanted = self._observers.headers
        self._observers.answered(
            Answer(
                model=served.name,
                version=served.version,
                digest=served.model.digest,
                status=code,
                began=time.time() - seconds,
                seconds=seconds,
                inputs=request.inputs if request else {},
                outputs=results,
                headers=_NO_HEADERS if wanted.isdisjoint(inference.headers) else _chosen(inference.headers, wanted),
                client=inference.client,
                caller=inference.caller,
                id=request.id if request else None,
                batch=inference.batch,
                shadow=inference.shadow,
                reason=reason,
                generated=inference.generated(),
            )
        )


def _chosen(headers: Mapping[str, str], wanted: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in wanted}
