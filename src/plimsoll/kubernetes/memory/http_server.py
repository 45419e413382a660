"""HTTP on loopback: connections, bodies, streams, and connections that are taken over or broken off."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from plimsoll.kubernetes.memory.faults import Fault
from plimsoll.kubernetes.memory.frames import accept_of
from plimsoll.kubernetes.memory.reading import Dropped
from plimsoll.kubernetes.memory.refusals import StatusError, bad_request
from plimsoll.kubernetes.memory.requests import ApiResponse, Request, User
from plimsoll.kubernetes.memory.serving import Serving

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_NOBODY = User(name="", groups=())
_END_LIMIT = 5.0


class ApiServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1 until `stop`. `problems` are defects of hooks, scripts and of ours."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, serving: Serving) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.serving = serving
        self.problems: list[BaseException] = []
        self.closed = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True, name="memory-api")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, and know it for the end."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections come and go: what the other side breaks off is no news."""

    def stop(self) -> None:
        """Take no more connections, and end those that are open."""
        self.closed.set()
        self.shutdown()
        self._thread.join(_END_LIMIT)
        with self._lock:
            found = list(self._connections)
        for each in found:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers go out at once, without waiting for the last one's receipt.
    disable_nagle_algorithm = True
    server: ApiServer

    def do_GET(self) -> None:
        """Answer any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        # A header that comes several times is one list (RFC 9110).
        headers = {name.lower(): ",".join(self.headers.get_all(name, ())) for name in self.headers}
        serving = self.server.serving
        request = Request(method=self.command, path=path, user=_NOBODY)
        try:
            request, command = serving.request(self.command, path, query, headers, body)
            fault = serving.faults.next(request)
            if fault is not None and self._failed(request, fault):
                return
            answer = serving.answer(request, command)
        except StatusError as refusal:
            self._refuse(request, refusal)
            return
        except Exception as error:  # noqa: BLE001  # of hooks and scripts of a test, which then fails by it
            self.server.problems.append(error)
            self._refuse(request, StatusError(500, "InternalError", f"Internal error occurred: {error!r}"))
            return
        serving.note(request, answer.code)
        self._send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815  # names of http.server

    def _failed(self, request: Request, fault: Fault) -> bool:
        """Whether a fault was the answer."""
        if fault.seconds:
            self.server.closed.wait(fault.seconds)
        if fault.reset:
            self.server.serving.note(request, 0)
            self._break_off()
            return True
        if not fault.status:
            return False
        if fault.text:
            self.server.serving.note(request, fault.status)
            self._send(ApiResponse(code=fault.status, body=fault.text, content_type="text/html"))
        else:
            self._refuse(request, fault.refusal())
        return True

    def _break_off(self) -> None:
        # With nothing to linger for, the system resets the connection.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _refuse(self, request: Request, refusal: StatusError) -> None:
        self.server.serving.note(request, refusal.code)
        self._send(ApiResponse(code=refusal.code, body=refusal.status()))

    def _send(self, answer: ApiResponse) -> None:
        if answer.upgrade is not None:
            self._upgrade(answer)
        elif answer.stream is not None:
            self._stream(answer, answer.stream)
        else:
            body = answer.body
            content = body.encode() if isinstance(body, str) else body
            whole = content if isinstance(content, bytes) else msgspec.json.encode(content)
            self._head(answer, {"Content-Length": str(len(whole))} if answer.code != 204 else {})
            if self.command != "HEAD" and answer.code != 204:
                self.wfile.write(whole)

    def _head(self, answer: ApiResponse, headers: dict[str, str]) -> None:
        self.send_response(answer.code)
        for name, value in {"Content-Type": answer.content_type, **answer.headers, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, answer: ApiResponse, stream: Iterator[bytes]) -> None:
        self._head(answer, {"Transfer-Encoding": "chunked"})
        try:
            for piece in stream:
                self._chunk(piece)
        except Dropped:
            self._break_off()
            return
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, piece: bytes) -> None:
        if piece:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def _upgrade(self, answer: ApiResponse) -> None:
        asked = [each.strip() for each in self.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        chosen = next((each for each in _PROTOCOLS if each in asked), "")
        key = self.headers.get("Sec-WebSocket-Key", "")
        if not key or not chosen:
            refusal = bad_request("unable to upgrade: missing upgrade headers in request, or no protocol of ours")
            self._send(ApiResponse(code=400, body=refusal.status()))
            return
        more = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_of(key),
            "Sec-WebSocket-Protocol": chosen,
        }
        self.send_response(101)
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        if answer.upgrade is not None:
            with contextlib.suppress(OSError):
                answer.upgrade(self.rfile, self.connection)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
