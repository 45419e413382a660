"""Requests over HTTP: valid ones in every form, and changes of their bodies, heads and chunks."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.hardening import reference
from benchmarks.hardening.answers import difference, status_problem
from benchmarks.hardening.findings import Findings
from benchmarks.hardening.inference_requests import DATATYPES, Request, chunked, head_of, in_pieces, made
from benchmarks.hardening.mutation import mutated, mutated_json
from benchmarks.hardening.reference import Read, Refused, Unclear
from benchmarks.hardening.server import Attacked
from benchmarks.hardening.wire import Client, NotHttp, Silence

AREA = "http"
OTHERS = (
    b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v2/models/m HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /v2/repository/index HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /metrics HTTP/1.0\r\nAccept: text/plain\r\n\r\n",
    b"GET http://a/v2/models/m/versions/1/ready?x=y HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
)
"""Requests for other resources, whose heads are changed."""


class HttpFuzz:
    """Sends one case after the other; `random` decides all of them."""

    def __init__(self, server: Attacked, findings: Findings, random: Random) -> None:
        self._server, self._findings, self._random = server, findings, random
        self._client = Client(server.port)
        self._recent: deque[bytes] = deque(maxlen=20)
        self.cases = 0

    def run(self, seconds: float) -> None:
        """Send cases for so long."""
        kinds: list[Callable[[], None]] = [self._valid, self._json, self._bytes, self._bytes, self._head, self._chunks]
        end = time.monotonic() + seconds
        checked = 0.0
        while (now := time.monotonic()) < end:
            try:
                self._random.choice(kinds)()
            except Silence:
                self._add("neither an answer nor an end of the connection")
            except NotHttp as error:
                self._add(f"a response that is not HTTP: {str(error)[:60]}")
            except OSError as error:
                self._add(f"no connection: {error.strerror or error}")
            self.cases += 1
            if now - checked > 1:
                checked = now
                self._server.check(AREA, b"".join(self._recent))
        self._client.close()
        self._server.check(AREA, b"".join(self._recent))

    def _add(self, kind: str) -> None:
        self._client.close()
        self._findings.add(AREA, kind, self._recent[-1])

    def _valid(self) -> None:
        request = made(self._random)
        if self._random.random() < 0.5:
            pieces = [head_of(request, None), *chunked(self._random, request.body)]
        else:
            pieces = in_pieces(self._random, head_of(request, len(request.body)) + request.body)
        self._recent.append(b"".join(pieces))
        answers = self._client.send_all(pieces)
        if len(answers) != 1 or answers[0].status != 200:
            said = answers[0].body[:80] if answers else b"nothing"
            self._add(f"a valid request to {request.model} is answered with {said!r}")
            return
        read = reference.read(request.body, request.json_length, DATATYPES[request.model])
        wrong = difference(answers[0], read, {f"{name}_out": array for name, array in request.arrays.items()})
        if wrong:
            self._add(f"{wrong} (valid, {request.model})")

    def _json(self) -> None:
        request = made(self._random)
        end = len(request.body) if request.json_length is None else request.json_length
        document: Any = json.loads(request.body[:end])
        head = mutated_json(self._random, document)
        length = None if request.json_length is None else len(head)
        self._judged(Request(request.model, head + request.body[end:], length, {}))

    def _bytes(self) -> None:
        request = made(self._random)
        body = mutated(self._random, request.body)
        length = request.json_length
        if length is not None and self._random.random() < 0.3:
            length = self._random.choice((0, 1, len(body), len(body) + 1, 10**12, length - 1, length + 1))
        self._judged(Request(request.model, body, length, {}))

    def _judged(self, request: Request) -> None:
        raw = head_of(request, len(request.body)) + request.body
        self._recent.append(raw)
        answer = self._client.ask(raw)
        if answer is None:
            self._add("a well-formed request is not answered")
        elif problem := status_problem(answer.status):
            self._add(f"{problem}: {answer.body[:60]!r}")
        elif answer.status == 200:
            read = _read(request)
            expected = None
            if isinstance(read, Read):
                expected = {f"{name}_out": array for name, array in read.inputs.items()}
            if wrong := difference(answer, read, expected):
                self._add(f"{wrong} ({request.model})")

    def _head(self) -> None:
        request = made(self._random)
        first = head_of(request, len(request.body)) + request.body
        raw = mutated(self._random, self._random.choice((first, *OTHERS)))
        self._wild(in_pieces(self._random, raw, 3) or [b"\r\n"])

    def _chunks(self) -> None:
        request = made(self._random)
        pieces = chunked(self._random, request.body)
        self._wild([head_of(request, None), mutated(self._random, b"".join(pieces)) or b"0"])

    def _wild(self, pieces: list[bytes]) -> None:
        """Bytes that need be no requests: whatever comes back is HTTP and blames nobody but the client."""
        raw = b"".join(pieces)
        self._recent.append(raw)
        for answer in self._client.send_all(pieces, bodiless=b"HEAD" in raw):
            if problem := status_problem(answer.status):
                self._add(f"{problem}: {answer.body[:60]!r}")


def _read(request: Request) -> Read | Refused | Unclear:
    try:
        return reference.read(request.body, request.json_length, DATATYPES[request.model])
    except (Refused, Unclear) as reason:
        return reason
