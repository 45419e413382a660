"""How long the neighbours of one costly request wait, beyond what they wait without one on the same machine."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median
from typing import Any

import numpy as np
from msgspec import Struct

from benchmarks.hardening.findings import Findings
from benchmarks.hardening.inference_requests import chunked
from benchmarks.hardening.models import FEATURES
from benchmarks.hardening.neighbour import neighbour
from benchmarks.hardening.server import Attacked, free_port
from benchmarks.hardening.wire import Client, NotHttp, Silence
from benchmarks.measuring import ROOT

AREA = "delays"
SETTLED = 0.5
"""Seconds after a request, in which what it has left behind may end."""
SHORTEST = 0.5
"""Seconds that are looked at, at least."""
LONGEST = 5.0
"""Seconds of a request that are looked at; what is slow for longer is found within them."""
PAUSE = 0.004
"""Seconds between two requests of the neighbour."""
LIMIT = 0.05
"""Seconds that a neighbour may wait in addition."""
FULL = 60_000_000
"""Bytes of a large body, within what a server takes unless it is told otherwise."""


class Window(Struct, frozen=True):
    """From when to when there was a request, and then none, of `time.monotonic`."""

    busy: tuple[float, float]
    quiet: tuple[float, float]


class Delay(Struct, frozen=True):
    """Longest waits in seconds: without the request, and with it. Both are medians.

    Without it: in times as long, which follow each request, and in which another process of two threads computes, as
    the server does with a request. `quiet` is what a client of the server waits then, or a client of that process if it
    is longer, or what three of four such times of all requests keep. So the noise of the machine and of the interpreter
    is in it, and nothing of the server's.
    """

    kind: str
    quiet: float
    busy: float

    @property
    def beyond(self) -> float:
        """Seconds beyond the machine's own noise."""
        return max(0.0, self.busy - self.quiet)


def _post(model: str, body: bytes, *lines: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {size}"]
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


def _tensor(datatype: str, shape: list[int], data: str, more: str = "") -> bytes:
    head = json.dumps({"name": "x", "datatype": datatype, "shape": shape})[:-1]
    return f'{{"inputs": [{head}, "data": {data}}}]{more}}}'.encode()


def _binary(model: str, datatype: str, shape: list[int], raw: bytes, more: str = "") -> bytes:
    tensor: dict[str, Any] = {"name": "x", "datatype": datatype, "shape": shape}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = f'{{"inputs": [{json.dumps(tensor)}]{more}}}'.encode()
    return _post(model, head + raw, f"Inference-Header-Content-Length: {len(head)}")


def _explained(rows: int) -> bytes:
    values = np.random.default_rng(1).normal(size=(rows, FEATURES)).astype("<f4")
    return _binary("forest", "FP32", [rows, FEATURES], values.tobytes(), ', "parameters": {"explain": true}')


def _chunks() -> bytes:
    body = _tensor("FP32", [1, 4], "[1,2,3,4]" + " " * 300_000)
    head = b"POST /v2/models/fp32/infer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(chunked(Random(1), body))


KINDS: dict[str, Callable[[], bytes]] = {
    "numbers in JSON": lambda: _post("fp32", _tensor("FP32", [1, 3_000_000], f"[{'1.25,' * 2_999_999}1.25]")),
    "a list of empty lists": lambda: _post("fp32", _tensor("FP32", [1, 1], f"[{'[],' * 5_000_000}1]")),
    "deep nesting": lambda: _post("fp32", b'{"inputs": ' + b"[" * 10_000_000),
    "nested rows": lambda: _post("int64", _tensor("INT64", [400_000, 2], f"[{'[1,2],' * 399_999}[1,2]]")),
    "an object of many members": lambda: _post(
        "fp32", b'{"parameters": {%b}}' % b",".join(b'"%d": {}' % number for number in range(700_000))
    ),
    "a long id": lambda: _post("fp32", _tensor("FP32", [1, 1], "[1]", f', "id": "{"é" * 5_000_000}"')),
    "texts in JSON": lambda: _post("bytes", _tensor("BYTES", [1, 2_000_000], "[" + '"ab",' * 1_999_999 + '"ab"]')),
    "many texts in binary": lambda: _binary("bytes", "BYTES", [1, 5_000_000], b"\1\0\0\0a" * 5_000_000),
    "a large tensor, answered in JSON": lambda: _binary("fp32", "FP32", [1, 4_000_000], bytes(16_000_000)),
    "a large tensor, answered in binary": lambda: _binary(
        "fp32", "FP32", [1, FULL // 4], bytes(FULL), ', "parameters": {"binary_data_output": true}'
    ),
    "truth values in binary": lambda: _binary("bool", "BOOL", [1, 30_000_000], bytes(30_000_000)),
    "spaces": lambda: _post("fp32", b" " * FULL),
    "many inputs": lambda: _post("fp32", b'{"inputs": [%b]}' % b",".join([b'{"name":"x"}'] * 1_000_000)),
    "explanations": lambda: _explained(1000),
    "small chunks": _chunks,
    "many headers": lambda: _post("fp32", b"{}", *(f"A{number}: b" for number in range(1500))),
    "pipelined requests": lambda: b"GET /v2/models/forest HTTP/1.1\r\nHost: a\r\n\r\n" * 20_000,
    "feedback": lambda: (
        b"POST /v2/feedback HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10000001\r\n\r\n"
        + b"[" * 10_000_001
    ),
}
"""What one client asks for, by name."""


def measure(server: Attacked, findings: Findings, rounds: int, end: float) -> list[Delay]:
    """Ask for each kind in turn, in rounds that all begin before `end` (of `time.monotonic`)."""
    windows: dict[str, list[Window]] = {name: [] for name in KINDS}
    requests = {name: make() for name, make in KINDS.items()}
    with (
        _computing() as port,
        neighbour(port, PAUSE, "infer") as control,
        neighbour(server.port, PAUSE, "infer") as other,
    ):
        time.sleep(SETTLED)
        for turn in range(rounds):
            for name, raw in requests.items():
                if turn and time.monotonic() > end:
                    break
                windows[name].append(_asked(server.port, raw, port))
    delays = []

    def noise(each: Window) -> float:
        return max(other.longest(*each.quiet), control.longest(*each.quiet))

    usual = _upper_quartile([noise(each) for found in windows.values() for each in found])
    for name, found in windows.items():
        quiet = max(usual, median(map(noise, found)))
        delays.append(Delay(name, quiet, median(other.longest(*each.busy) for each in found)))
        if delays[-1].beyond > LIMIT:
            findings.add(AREA, f"{name}: neighbours wait too long", requests[name])
    server.check(AREA, b"")
    return delays


def _asked(port: int, raw: bytes, computing: int) -> Window:
    """Ask, and then have the other process compute for as long."""
    begin = time.monotonic()
    with contextlib.suppress(OSError, Silence, NotHttp):
        Client(port).send_all([raw])
    length = min(max(time.monotonic() - begin, SHORTEST), LONGEST)
    time.sleep(SETTLED)
    Client(computing).ask(b"GET /busy HTTP/1.1\r\n\r\n")
    quiet = time.monotonic()
    time.sleep(length)
    end = time.monotonic()
    Client(computing).ask(b"GET /idle HTTP/1.1\r\n\r\n")
    return Window((begin, begin + length), (quiet, end))


@contextlib.contextmanager
def _computing() -> Iterator[int]:
    """The port of a process that computes when it is told to, for the time of the block."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(ROOT / "benchmarks" / "peers" / "busy_echo.py"), str(port)])
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def _upper_quartile(values: Sequence[float]) -> float:
    return sorted(values)[len(values) * 3 // 4]
