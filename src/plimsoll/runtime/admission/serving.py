"""The server of the webhook: HTTPS, few paths, small bodies, short waits. What cannot be judged is refused."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from plimsoll.errors import FileError
from plimsoll.runtime.admission.certificates import Certificate
from plimsoll.runtime.admission.judging import Judge, Judged
from plimsoll.runtime.admission.reviews import Request, answered, read_review

MOST_BYTES = 8 << 20
"""Bytes of a review: an object has three million at most, and an update has the one before, too."""
READ_LIMIT = 5.0
"""Seconds for the body of a request."""
HANDSHAKE_LIMIT = 5.0
MOST_CONNECTIONS = 256
KEEP_ALIVE = 30
Receive = Callable[[], Awaitable[dict[str, Any]]]  # Any: messages of ASGI
Send = Callable[[dict[str, Any]], Awaitable[None]]  # Any: messages of ASGI


class _TooMuch(Exception):
    """The body is larger than a review, or does not come."""


class Webhook:
    """The application: `/pin` for the mutating webhook, `/judge` for the validating one, `/healthz` for probes."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._paths = {"/pin": judge.pinned, "/judge": judge.judged}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:  # Any: as ASGI has it
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, content = await self._answer(scope["method"], scope["path"], receive)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, method: str, path: str, receive: Receive) -> tuple[int, bytes]:
        if path == "/healthz" and method == "GET":
            return 200, b"{}"
        act = self._paths.get(path)
        if act is None or method != "POST":
            return 404, _problem("there is /pin, /judge and /healthz")
        try:
            request = read_review(await asyncio.wait_for(_body(receive), READ_LIMIT))
        except TimeoutError:
            return 408, _problem(f"the review was not sent within {READ_LIMIT:g} s")
        except _TooMuch:
            return 413, _problem(f"a review has fewer than {MOST_BYTES} bytes")
        except FileError as error:
            return 400, _problem(error.message)
        began = time.monotonic()
        found = await asyncio.to_thread(act, request)
        _tell(path, request, found, time.monotonic() - began)
        return 200, answered(request, found.refused, found.patches)


async def serve(webhook: Webhook, certificate: Certificate, host: str, port: int) -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(
        webhook,
        host=host,
        port=port,
        http="h11",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 << 10,
    )
    config.load()
    config.ssl = certificate.context
    keeping = asyncio.create_task(certificate.keep())
    try:
        await uvicorn.Server(config).serve()
    finally:
        keeping.cancel()


async def _body(receive: Receive) -> bytes:
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _TooMuch
        content += message.get("body", b"")
        if len(content) > MOST_BYTES:
            raise _TooMuch
        if not message.get("more_body"):
            return bytes(content)


def _problem(text: str) -> bytes:
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
