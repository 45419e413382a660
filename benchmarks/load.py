"""A load generator for HTTP/1.1 with keep-alive: one thread, one process, bytes laid out before.

`python -m benchmarks.load URL REQUEST-FILE CONNECTIONS SECONDS [RATE]` prints JSON. Without a rate each connection asks
again when it has its answer; with one (requests per second) they are sent when they are due, and latency counts from
then: a server that falls behind cannot make the load smaller. It waits by polling and so takes a core of its own.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import sys
import time
import urllib.parse
from collections import Counter
from pathlib import Path

_FAILURES = {0: "connection ended before the answer"}
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


RECONNECT_LIMIT = 10.0
"""Seconds within which a server that ended a connection must take another."""


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = _connected(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due = 0.0

    def ask(self, raw: bytes, due: float) -> None:
        """Send a request. On a connection that has ended nothing is sent: `answered` tells of it."""
        self.due = due
        with contextlib.suppress(OSError):
            self.socket.sendall(raw)

    def answered(self) -> int | None:
        """The status when the answer is whole; 0 when the connection ended before."""
        try:
            data = self.socket.recv(1 << 20)
        except OSError:
            return 0
        if not data:
            return 0
        self.buffer = self.buffer + data if self.buffer else data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = LENGTH.search(self.buffer, 0, end)
        if length is None:
            sys.exit(f"an answer without a length: {self.buffer[:300]!r}")
        if len(self.buffer) < end + 4 + int(length[1]):
            return None
        status = int(self.buffer[9:12])
        self.buffer = b""
        return status


def _connected(address: tuple[str, int]) -> socket.socket:
    deadline = time.monotonic() + RECONNECT_LIMIT
    while True:
        try:
            return socket.create_connection(address, timeout=RECONNECT_LIMIT)
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{address[0]}:{address[1]} took no connection within {RECONNECT_LIMIT:g} s: {error}")
            time.sleep(0.05)


def load(  # noqa: PLR0912 - one loop, laid out flat so that the client takes as little as it can
    url: str, raw: bytes, connections: int, seconds: float, rate: float | None = None
) -> dict[str, object]:
    """Requests answered with 200 within the time, those that failed, and latencies in seconds at percentiles."""
    address = urllib.parse.urlsplit(url)
    all_ = [Connection((address.hostname or "", address.port or 80)) for _ in range(connections)]
    poll = select.epoll()
    by_number = {each.socket.fileno(): each for each in all_}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    began = time.perf_counter()
    free: list[Connection] = []
    if rate is None:
        for each in all_:
            each.ask(raw, began)
    else:
        free = list(all_)
    sent, failed, latencies = 0, 0, []
    words: Counter[str] = Counter()
    while (now := time.perf_counter()) - began < seconds:
        while free and rate is not None and began + sent / rate <= now:
            free.pop().ask(raw, began + sent / rate)
            sent += 1
        for number, _ in poll.poll(0.05 if rate is None else 0):
            each = by_number[number]
            status = each.answered()
            if status is None:
                continue
            then = time.perf_counter()
            if status == 200:
                latencies.append(then - each.due)
            else:
                failed += 1
                words[_FAILURES.get(status) or f"status {status}"] += 1
            if status == 0:
                poll.unregister(number)
                each.socket.close()
                by_number[number] = each = Connection((address.hostname or "", address.port or 80))
                by_number[each.socket.fileno()] = each
                poll.register(each.socket.fileno(), select.EPOLLIN)
            if rate is None:
                each.ask(raw, then)
            else:
                free.append(each)
    took = time.perf_counter() - began
    latencies.sort()
    at = {f"p{n}": latencies[min(len(latencies) - 1, len(latencies) * n // 100)] for n in (50, 99)} if latencies else {}
    for each in all_:
        each.socket.close()
    return {"requests": len(latencies), "failed": failed, "failures": words, "seconds": took, **at}


if __name__ == "__main__":
    url_, file, connections_, seconds_, *rate_ = sys.argv[1:]
    got = load(url_, Path(file).read_bytes(), int(connections_), float(seconds_), float(rate_[0]) if rate_ else None)
    print(json.dumps(got))
