"""A client that does nothing wrong, as a process of its own: how long it waits for each answer.

`python -m benchmarks.hardening.neighbour PORT PAUSE WAY` asks until its standard input ends, and then prints JSON: a
list of [when it asked, when that ended, seconds to the answer], by `time.monotonic`. `PAUSE` in seconds is between two
requests. `WAY` is `live` (a new connection for each request for the health) or `infer` (an inference and the health in
turns on one connection). A request that fails, or has no answer within `LIMIT`, counts as `LIMIT` seconds.
"""

from __future__ import annotations

import contextlib
import gc
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.hardening.wire import Answer, Client, NotHttp, Silence
from benchmarks.measuring import ROOT

LIMIT = 20.0
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
Sample = tuple[float, float, float]
"""When a request was sent, when it ended, and the seconds to its answer: `LIMIT` when none came."""


def main(argv: list[str]) -> None:
    """Ask until standard input ends."""
    client, pause, requests = Client(int(argv[0])), float(argv[1]), _requests(argv[2])
    samples: list[Sample] = []
    gc.disable()
    while not select.select([sys.stdin], [], [], pause)[0]:
        began = time.monotonic()
        good = _asked(client, requests[len(samples) % len(requests)])
        ended = time.monotonic()
        samples.append((began, ended, ended - began if good else LIMIT))
        if argv[2] == "live":
            client.close()
    json.dump(samples, sys.stdout)


def _asked(client: Client, raw: bytes) -> bool:
    answer: Answer | None = None
    with contextlib.suppress(OSError, Silence, NotHttp):
        answer = client.ask(raw)
    if answer is None:
        client.close()
    return answer is not None and answer.status == 200


def _requests(way: str) -> list[bytes]:
    if way == "live":
        return [LIVE]
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 2.0, 3.0]}
    body = json.dumps({"inputs": [tensor]}).encode()
    head = f"POST /v2/models/fp32/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return [head.encode() + body, LIVE]


class Neighbour:
    """The process; `samples` are there after it has ended."""

    def __init__(self, port: int, pause: float, way: str) -> None:
        argv = [sys.executable, "-m", "benchmarks.hardening.neighbour", str(port), str(pause), way]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.samples: list[Sample] = []

    def end(self) -> None:
        """Let it end, and take what it measured."""
        try:
            found, _ = self._process.communicate(timeout=2 * LIMIT)
            self.samples = [(began, ended, seconds) for began, ended, seconds in json.loads(found or b"[]")]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def longest(self, begin: float, end: float) -> float:
        """Seconds of the longest wait among requests that were under way between two moments; 0 without any."""
        return max((waited for began, ended, waited in self.samples if began < end and ended > begin), default=0.0)


@contextlib.contextmanager
def neighbour(port: int, pause: float, way: str) -> Iterator[Neighbour]:
    """A neighbour for the time of the block; its samples are there after it."""
    found = Neighbour(port, pause, way)
    try:
        yield found
    finally:
        found.end()


if __name__ == "__main__":
    main(sys.argv[1:])
