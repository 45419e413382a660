"""A small service of the OpenAI API that says what a test tells it to, over real HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Chat", dict[str, Any]], None]


class Chat(BaseHTTPRequestHandler):
    """Answers one request by the server's `reply`; what was asked is in its `asked`."""

    protocol_version = "HTTP/1.0"
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.server.reply(self, body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def begin(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def piece(self, text: str) -> None:
        self.send(b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n")

    def end(self, finish: str = "stop", tokens: int = 7) -> None:
        self.send(b"data: " + json.dumps({"choices": [{"delta": {}, "finish_reason": finish}]}).encode() + b"\n\n")
        usage = {"prompt_tokens": 50, "completion_tokens": tokens}
        self.send(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n")


class ChatServer(ThreadingHTTPServer):
    """Keeps what was asked."""

    daemon_threads = True

    def __init__(self, reply: Reply) -> None:
        super().__init__(("127.0.0.1", 0), Chat)
        self.reply = reply
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextlib.contextmanager
def chat_server(reply: Reply) -> Iterator[ChatServer]:
    with ChatServer(reply) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def says(*pieces: str, finish: str = "stop") -> Reply:
    """A reply of these pieces."""

    def reply(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin()
        for piece in pieces:
            chat.piece(piece)
        chat.end(finish)

    return reply


def quotes(chat: Chat, body: dict[str, Any]) -> None:
    """A reply that says the first line of the first passage's text again, as a model that keeps to it would."""
    prompt = body["messages"][-1]["content"]
    passage = prompt.split("<passage 1 ", 1)[1].split("</passage", 1)[0] if "<passage 1 " in prompt else ""
    lines = [line for line in passage.splitlines()[1:] if line.strip()]
    chat.begin()
    chat.piece(lines[-1] if lines else "I do not know.")
    chat.end()
