from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.dataset import Fetch
from plimsoll.planning.steps import Ingredient, Step
from plimsoll.state.results import Result
from plimsoll.targets.local.session import LocalSession

CONTENT = b"a,b\n1,2\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "orders.csv").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetched(target: LocalSession, source: str, sha256: str | None = None, digest: str = DIGEST) -> Observation:
    content = (Ingredient(kind="input", name="orders", digest=digest),)
    step = Step(part="orders", key="key", work=Fetch(source=source, sha256=sha256), ingredients=content)
    return list(target.start(step, 1))[-1]


def test_an_address_is_downloaded_and_its_digest_kept(target: LocalSession, address: str) -> None:
    end = fetched(target, f"{address}/orders.csv", DIGEST)
    assert end.fact["outcome"] == "done"
    assert Path(end.fact["result"]["path"]).read_bytes() == CONTENT
    assert end.fact["result"]["sha256"] == DIGEST


def test_other_content_than_promised_is_refused_and_not_tried_again(target: LocalSession, address: str) -> None:
    end = fetched(target, f"{address}/orders.csv", "0" * 64)
    assert end.fact["outcome"] == "failed"
    assert end.fact["lasting"] is True
    assert f"has sha256 {DIGEST}" in end.fact["reason"]
    assert target.state.result("key", Result) is None


def test_an_address_that_does_not_answer_says_so(target: LocalSession, address: str) -> None:
    assert "404" in fetched(target, f"{address}/nothing.csv").fact["reason"]
    assert "Connection refused" in fetched(target, "http://127.0.0.1:9/orders.csv").fact["reason"]


def test_a_local_file_is_used_where_it_lies(target: LocalSession, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_bytes(CONTENT)
    end = fetched(target, "orders.csv", DIGEST)
    assert end.fact["result"]["path"] == str(tmp_path / "orders.csv")
    assert "has sha256" in fetched(target, "orders.csv", "1" * 64).fact["reason"]
