"""The server of the webhook: HTTPS, few paths, small bodies, short waits. What cannot be judged is refused.

It needs no more than what each pod of Plimsoll has. A thread serves a connection; there are few, from API servers.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from plimsoll.errors import FileError, TargetError
from plimsoll.runtime.admission.certificates import Certificate
from plimsoll.runtime.admission.judging import Judge, Judged
from plimsoll.runtime.admission.reviews import Request, answered, read_review

MOST_BYTES = 8 << 20
"""Bytes of a review: an object has three million at most, and an update has the one before, too."""
READ_LIMIT = 5.0
"""Seconds for a whole request from its first byte, however slowly it is sent."""
HANDSHAKE_LIMIT = 5.0
IDLE_LIMIT = 30.0
"""Seconds for which a connection without a request stays open."""
MOST_CONNECTIONS = 256


class Webhook:
    """Answers requests: `/pin` for the mutating webhook, `/judge` for the validating one, `/healthz` for probes."""

    def __init__(self, judge: Judge) -> None:
        self._paths = {"/pin": judge.pinned, "/judge": judge.judged}

    def knows(self, path: str) -> bool:
        """Whether reviews are sent to a path."""
        return path in self._paths

    def answer(self, path: str, content: bytes) -> tuple[int, bytes]:
        """The status and body for a review at a path that it knows."""
        try:
            request = read_review(content)
        except FileError as error:
            return 400, problem(error.message)
        began = time.monotonic()
        found = self._paths[path](request)
        _tell(path, request, found, time.monotonic() - began)
        return 200, answered(request, found.refused, found.patches)


def serve(webhook: Webhook, certificate: Certificate, host: str, port: int) -> None:
    """Serve until SIGTERM. Raises TargetError when the address cannot be listened on."""
    try:
        server = _Server((host, port), webhook, certificate)
    except OSError as error:
        raise TargetError(f"the webhook cannot listen: {error.strerror}", where=f"{host}:{port}") from error
    threading.Thread(target=certificate.keep, daemon=True, name="certificate").start()
    # `shutdown` waits for the loop, which is in this thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        server.serve_forever()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], webhook: Webhook, certificate: Certificate) -> None:
        self.webhook = webhook
        self._certificate = certificate
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # Any: as the library has it
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # Any: as the library has it
        try:
            request.settimeout(HANDSHAKE_LIMIT)
            with contextlib.suppress(OSError):
                secure = self._certificate.context.wrap_socket(request, server_side=True)
                super().process_request_thread(secure, client_address)
        finally:
            with contextlib.suppress(OSError):
                request.close()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: as the library has it
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            sys.stderr.write(f"a request could not be answered: {type(error).__name__}: {error}\n")


class _Timed(io.RawIOBase):
    """The bytes of a connection, of which a request has to arrive within its limit."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self._until: float | None = None

    def begin(self) -> None:
        """Wait for a new request."""
        self._until = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # Any: a buffer, as the library has it
        left = IDLE_LIMIT if self._until is None else self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        if self._until is None:
            self._until = time.monotonic() + READ_LIMIT
        return count


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "plimsoll", ""
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._timed = _Timed(self.connection)
        self.rfile = io.BufferedReader(self._timed)

    def handle_one_request(self) -> None:
        self._timed.begin()
        super().handle_one_request()

    def do_GET(self) -> None:
        found = (200, b"{}") if self.path == "/healthz" else (404, problem("there is /pin, /judge and /healthz"))
        self._send(*found)

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        written = self.headers.get("Content-Length", "")
        length = int(written) if written.isascii() and written.isdigit() and len(written) < len(str(1 << 40)) else -1
        if not self.server.webhook.knows(path):
            self._end(404, "there is /pin, /judge and /healthz")
        elif length < 0 or "Transfer-Encoding" in self.headers:
            self._end(411, "a review has a Content-Length")
        elif length > MOST_BYTES:
            self._end(413, f"a review has fewer than {MOST_BYTES} bytes")
        else:
            try:
                content = self.rfile.read(length)
            except TimeoutError:
                self._end(408, f"the review was not sent within {READ_LIMIT:g} s")
                return
            self._send(*self.server.webhook.answer(path, content))

    def _end(self, status: int, text: str) -> None:
        """Answer, and read no more of this connection: what follows is part of a body."""
        self.close_connection = True
        self._send(status, problem(text))

    def _send(self, status: int, content: bytes) -> None:
        self.connection.settimeout(READ_LIMIT)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: decisions are logged, requests are not."""


def problem(text: str) -> bytes:
    """The body of a refusal to read a request."""
    return json.dumps({"error": text}).encode()


def _tell(path: str, request: Request, found: Judged, seconds: float) -> None:
    """One line of JSON for each decision: who asked for what, and why it was refused."""
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "path": path,
        "uid": request.uid[:64],
        "user": request.user_info.username[:256],
        "operation": request.operation[:16],
        "object": request.about,
        "allowed": not found.refused,
        **({"refused": found.refused} if found.refused else {}),
        "seconds": round(seconds, 3),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
