"""What a line of the access log and of the audit log holds: one for each request. Pure.

The access log is for the operator of the service. The audit log records who got which prediction of which model: it has
the digest of the model and the reason for a refusal. The payload is in it only with `payloads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from plimsoll.runtime.server.observers import CALL, INFERENCE, UNRECORDED, Answer, Generated
from plimsoll.runtime.tensors import Array, datatype_of, to_json
from plimsoll.telemetry.requests import request_rows

USER_HEADERS = ("x-forwarded-user", "x-auth-request-user", "x-remote-user")
"""Headers in which an authenticating proxy names the user. The logs never contain credentials."""
REQUEST_ID = "x-request-id"
MAX_CHARACTERS = 100_000
"""Most characters of an answer of a language model in a log with payloads."""
MAX_SOURCES, MAX_ID = 50, 200
"""Most documents that an answer of an assistant is logged to stand on, and most characters of the id of one."""
MAX_VALUES = 1000
"""Most values of a tensor in a log with payloads. Of a longer tensor the first values are logged."""


def access_line(answer: Answer, trace: str) -> dict[str, object]:
    """The line of one request in the access log."""
    line: dict[str, object] = {
        "at": _begin_of(answer),
        "event": "request" if answer.event == INFERENCE else answer.event,
        "model": answer.model,
        "version": answer.version,
        "status": answer.status,
        "seconds": round(answer.seconds, 6),
        "rows": request_rows(answer),
        "client": answer.client,
    }
    if answer.generated is not None:
        line |= _of_generated(answer.generated)
    if answer.call:
        line["call"] = answer.call
    if answer.batch > 1:
        line["batch"] = answer.batch
    if answer.shadow:
        line["shadow"] = True
    return line | _request_ids(answer, trace) | ({"reason": answer.reason} if answer.reason else {})


def audit_line(answer: Answer, trace: str, *, payloads: bool) -> dict[str, object]:
    """The line of one request in the audit log: the user, the digest of the model and the verdict.

    Who has proved to be the caller counts before a name that a header gives.
    """
    line: dict[str, object] = {
        "at": _begin_of(answer),
        "event": answer.event,
        "who": {"client": answer.client, "user": answer.caller or _user(answer)},
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
        "verdict": verdict(answer.status),
        "status": answer.status,
    }
    if answer.event == CALL:
        line = {name: value for name, value in line.items() if name not in {"model", "version", "digest"}}
        line["call"] = answer.call
    elif answer.event == UNRECORDED:
        line["count"] = answer.batch
    elif answer.generated is None:
        line |= {"inputs": _tensors(answer.inputs, payloads), "outputs": _tensors(answer.outputs, payloads)}
    else:
        line |= _of_generated(answer.generated)
        if payloads:
            line |= {"question": answer.generated.question, "answer": answer.generated.answer[:MAX_CHARACTERS]}
    return line | _request_ids(answer, trace) | ({"reason": answer.reason} if answer.reason else {})


def _of_generated(generated: Generated) -> dict[str, object]:
    """How much a language model was asked and has said, and when."""
    line: dict[str, object] = {
        "operation": generated.operation,
        "asked": generated.asked,
        "input_tokens": generated.input_tokens,
        "output_tokens": generated.output_tokens,
        "waited": round(generated.waited, 6),
    }
    if generated.versions:
        line |= _of_assistant(generated)
    return line | ({"first_token": round(generated.first_token, 6)} if generated.first_token else {})


def _of_assistant(generated: Generated) -> dict[str, object]:
    """What an answer of an assistant stands on, without a word of it: the ids of documents, and what answered."""
    return {
        **generated.versions,
        "outcome": generated.outcome or None,
        "supported": generated.sentences.get("supported", 0),
        "unsupported": generated.sentences.get("unsupported", 0),
        "sources": [each[:MAX_ID] for each in generated.sources[:MAX_SOURCES]],
        "stages": {stage: round(seconds, 6) for stage, seconds in generated.stages.items()},
    }


def verdict(status: int) -> str:
    """`answered`, `refused` (an error of the request) or `failed` (an error of the service)."""
    return "answered" if status < 400 else "refused" if status < 500 else "failed"


def _begin_of(answer: Answer) -> datetime:
    return datetime.fromtimestamp(answer.began, UTC)


def _user(answer: Answer) -> str | None:
    return next((answer.headers[name] for name in USER_HEADERS if answer.headers.get(name)), None)


def _request_ids(answer: Answer, trace: str) -> dict[str, str]:
    ids = {"id": answer.id, "request_id": answer.headers.get(REQUEST_ID), "trace_id": trace}
    return {name: value for name, value in ids.items() if value}


def _tensors(arrays: Mapping[str, Array], payloads: bool) -> list[dict[str, object]]:
    described: list[dict[str, object]] = []
    for name, array in arrays.items():
        tensor: dict[str, object] = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
        if payloads:
            tensor["data"] = to_json(array.ravel()[:MAX_VALUES])
        described.append(tensor)
    return described
