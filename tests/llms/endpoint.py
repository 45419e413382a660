"""A small service that speaks the OpenAI API, for tests of what asks somebody else's: it says what it was asked."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """`status` and `error` are what it answers with; `words` are what it says in a stream.

    `hold` keeps a stream open after its words until it is set; `left` is set when a client closes a stream before its
    end.
    """

    def __init__(self) -> None:
        self.status, self.error = 200, ""
        self.words = ["one", "two", "three"]
        self.hold = threading.Event()
        self.hold.set()
        self.left = threading.Event()
        self.cut = False
        self.asked: list[tuple[str, dict[str, str], dict[str, object]]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append((handler.path, headers, body))
        if self.status != 200:
            self._send(handler, {"error": {"message": self.error}})
        elif body.get("stream"):
            self._stream(handler)
        else:
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": " ".join(self.words)},
                "finish_reason": "stop",
            }
            usage = {"prompt_tokens": 4, "completion_tokens": len(self.words), "total_tokens": 4 + len(self.words)}
            self._send(handler, {"id": "c", "object": "chat.completion", "created": 1, "model": "big",
                                 "choices": [choice], "usage": usage})  # fmt: skip

    def _send(self, handler: BaseHTTPRequestHandler, value: object) -> None:
        content = json.dumps(value).encode()
        handler.send_response(self.status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(content)))
        if self.status == 429:
            handler.send_header("retry-after", "7")
        handler.end_headers()
        handler.wfile.write(content)

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "big"}
        try:
            for word in self.words:
                self._event(handler, {**about, "choices": [{"index": 0, "delta": {"content": word}}]})
            while not self.hold.wait(0.02):
                self._event(handler, {**about, "choices": [{"index": 0, "delta": {"content": "on"}}]})
        except OSError:
            self.left.set()
            return
        if self.cut:
            return
        self._event(handler, {**about, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event(handler, {**about, "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 3}})
        handler.wfile.write(b"data: [DONE]\n\n")

    def _event(self, handler: BaseHTTPRequestHandler, value: object) -> None:
        handler.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")


@contextlib.contextmanager
def endpoint() -> Iterator[Endpoint]:
    """One on a free port."""
    told = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield told
    finally:
        told.hold.set()
        server.shutdown()
        server.server_close()
