"""What is asked of an API server again, and for how long. The server here says what a real one says of its webhooks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plimsoll.kubernetes.api import Api, ApiError

CALL = 'failed calling webhook "mpod.kb.io": failed to call webhook: Post "https://kueue-webhook-service.kueue-system'
STARTS = f'Internal error occurred: {CALL}.svc:443/mutate": dial tcp 10.244.4.4:9443: connect: connection refused'
BROKEN = f'Internal error occurred: {CALL}.svc:443/mutate": x509: certificate signed by unknown authority'
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "one"}}


class Server(ThreadingHTTPServer):
    """Refuses the first `refusals` changes in the words of `message`, and takes the rest."""

    refusals, message, asked = 0, "", 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer(200, {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]})

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        if self.server.asked <= self.server.refusals:
            self.answer(500, {"kind": "Status", "message": self.server.message, "reason": "InternalError"})
        else:
            self.answer(200, NAMESPACE)

    do_POST = do_PATCH  # noqa: N815  # the name that http.server calls

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def api(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    clusters = [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}]
    contexts = [{"name": "here", "context": {"cluster": "here", "user": "me"}}]
    kept = {"clusters": clusters, "contexts": contexts, "users": [{"name": "me", "user": {"token": "any"}}]}
    (tmp_path / "config").write_text(json.dumps(kept))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    made = Api("here")
    yield made
    made.close()


def test_a_webhook_whose_controller_starts_anew_is_waited_for(server: Server, api: Api) -> None:
    server.refusals, server.message = 5, STARTS
    assert api.apply(NAMESPACE) == NAMESPACE


def test_a_webhook_that_does_not_come_back_ends_in_its_own_words(server: Server, api: Api) -> None:
    server.refusals, server.message = 100, STARTS
    with pytest.raises(ApiError, match="connection refused"):
        api.apply(NAMESPACE)
    assert server.asked == 6


def test_a_webhook_that_is_broken_is_asked_no_longer_than_a_server_that_is_busy(server: Server, api: Api) -> None:
    server.refusals, server.message = 100, BROKEN
    with pytest.raises(ApiError, match="unknown authority"):
        api.apply(NAMESPACE)
    assert server.asked == 4


def test_what_would_make_a_second_object_is_asked_once(server: Server, api: Api) -> None:
    server.refusals, server.message = 1, STARTS
    with pytest.raises(ApiError, match="connection refused"):
        api.create(NAMESPACE)
    assert server.asked == 1
