"""A load generator for HTTP/1.1 with keep-alive: one thread, one process, bytes laid out before.

`python -m benchmarks.load URL REQUEST-FILE CONNECTIONS SECONDS [RATE]` prints JSON. Without a rate each connection asks
again when it has its answer; with one (requests per second) they are sent when they are due, and latency counts from
then: a server that falls behind cannot make the load smaller. It waits by polling and so takes a core of its own.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
import urllib.parse
from pathlib import Path

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due = 0.0

    def ask(self, raw: bytes, due: float) -> None:
        self.due = due
        self.socket.sendall(raw)

    def answered(self) -> int | None:
        """The status when the answer is whole."""
        data = self.socket.recv(1 << 20)
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
    return {"requests": len(latencies), "failed": failed, "seconds": took, **at}


if __name__ == "__main__":
    url_, file, connections_, seconds_, *rate_ = sys.argv[1:]
    got = load(url_, Path(file).read_bytes(), int(connections_), float(seconds_), float(rate_[0]) if rate_ else None)
    print(json.dumps(got))
