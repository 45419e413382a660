from __future__ import annotations

import gzip
import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plimsoll.application.addresses import address_digest
from plimsoll.application.digests import Digests
from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.dataset import Fetch
from plimsoll.planning.steps import Ingredient, InputFile, Step
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result
from plimsoll.targets.local.commands import input_path
from plimsoll.targets.local.session import LocalSession
from tests.runtime.packages.stand_in import stand_in, tarred

CONTENT = b"a,b\n1,2\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """A web server with the manners that a test asks for by name, and the content that it serves."""

    def __init__(self) -> None:
        self.manner = ""
        self.content = CONTENT
        self.asked: list[str] = []
        self.begins: list[int] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_HEAD(self) -> None:
                site.asked.append("HEAD")
                if site.manner == "no HEAD":
                    self.answer(403, b"")
                elif site.manner == "HEAD says 0":
                    self.answer(200, b"", length=0)
                else:
                    self.answer(200, b"", length=len(site.content))

            def do_GET(self) -> None:
                site.asked.append("GET")
                if site.manner == "moved" and self.path != "/there":
                    self.send_response(302)
                    self.send_header("Location", "/there")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                getattr(self, f"get_{site.manner.split(', ')[-1].replace(' ', '_')}", self.get_)()

            def get_(self) -> None:
                self.answer(200, site.content)

            def get_cut(self) -> None:
                self.answer(200, site.content[:-100], length=len(site.content))

            def get_cut_chunks(self) -> None:
                self.chunks(site.content[:-100], end=b"")

            def get_chunks(self) -> None:
                self.chunks(site.content, end=b"0\r\n\r\n")

            def get_until_closed(self) -> None:
                self.answer(200, site.content, length=None)

            def get_nothing(self) -> None:
                self.answer(204, b"")

            def get_encoded(self) -> None:
                self.answer(200, gzip.compress(site.content), headers={"Content-Encoding": "gzip"})

            def get_cut_encoded(self) -> None:
                self.answer(200, gzip.compress(site.content)[:-20], headers={"Content-Encoding": "gzip"})

            def get_unknown_encoding(self) -> None:
                self.answer(200, site.content, headers={"Content-Encoding": "br"})

            def get_part(self) -> None:
                of = f"bytes 0-99/{len(site.content)}"
                self.answer(206, site.content[:100], headers={"Content-Range": of})

            def get_ranges(self) -> None:
                begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
                site.begins.append(begin)
                size = len(site.content)
                of = f"bytes {begin}-{size - 1}/{size}"
                self.answer(206 if begin else 200, site.content[begin:], headers={"Content-Range": of} if begin else {})

            def get_wrong_ranges(self) -> None:
                if not self.headers.get("Range", "bytes=0-0").endswith("=0-0"):
                    self.get_part()
                elif site.asked.count("GET") == 1:
                    self.get_cut()
                else:
                    self.get_()

            def answer(
                self, status: int, body: bytes, length: int | None = -1, headers: Mapping[str, str] = {}
            ) -> None:
                self.send_response(status)
                if length is not None:
                    self.send_header("Content-Length", str(len(body) if length < 0 else length))
                if not site.manner.startswith("no validator"):
                    self.send_header("ETag", f'"{hashlib.sha256(site.content).hexdigest()[:8]}"')
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def chunks(self, body: bytes, end: bytes) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body) + end)
                self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/orders.csv"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("plimsoll.runtime.download.PAUSE", 0.0)
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()


def fetched(target: LocalSession, source: str, sha256: str | None = None, digest: str = "") -> Observation:
    """The end of a step that fetches a source as it is now."""
    if not digest:
        address = "://" in source
        path = target.context.directory / source
        digest = sha256 or (address_digest(source) if address else Digests(path.with_name("digests")).of(path))
    return list(target.start(fetch_step(source, sha256, digest), 1))[-1]


def fetch_step(source: str, sha256: str | None, digest: str) -> Step[Fetch]:
    content = (Ingredient(kind="input", name="orders", digest=digest),)
    return Step(part="orders", key="key", work=Fetch(source=source, sha256=sha256), ingredients=content)


def orders(state: StateDirectory) -> Path:
    """The path that a command gets for the fetched source."""
    return input_path(InputFile(name="orders", step="fetch/orders", key="key"), state)


@pytest.mark.parametrize(
    "manner",
    ["", "no HEAD", "HEAD says 0", "no validator", "chunks", "moved", "encoded", "wrong ranges"],
)
def test_the_whole_data_is_downloaded_whatever_the_manners_of_the_server(
    target: LocalSession, site: Site, manner: str
) -> None:
    site.manner = manner
    end = fetched(target, site.url)
    assert end.fact["outcome"] == "done", end.fact
    assert orders(target.state).read_bytes() == CONTENT
    assert end.fact["result"]["sha256"] == DIGEST


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("cut", "cannot download the data"),
        ("cut chunks", "cannot download the data"),
        ("cut encoded", "data ended early"),
        ("unknown encoding", "encoded as br"),
        ("until closed", "does not say how long the data is"),
        ("nothing", "the server answered 204"),
        ("part", "the server answered 206"),
    ],
)
def test_a_part_of_the_data_is_never_a_result(target: LocalSession, site: Site, manner: str, reason: str) -> None:
    site.manner = manner
    end = fetched(target, site.url, digest="planned")
    assert end.fact["outcome"] == "failed"
    assert reason in end.fact["reason"]
    assert target.state.result("key", Result) is None


def test_a_download_that_broke_off_is_continued_by_the_next_run(target: LocalSession, site: Site) -> None:
    site.manner = "cut"
    end = fetched(target, site.url)
    assert end.fact["outcome"] == "failed"
    assert "the next run continues the download" in end.fact["reason"]
    site.manner = "ranges"
    assert fetched(target, site.url).fact["outcome"] == "done"
    assert site.begins == [len(CONTENT) - 100]
    assert orders(target.state).read_bytes() == CONTENT
    assert not list(target.state.checkpoints.glob("key/*"))


@pytest.mark.parametrize("before", ["cut", "no validator, cut"])
def test_bytes_of_other_content_are_not_continued(target: LocalSession, site: Site, before: str) -> None:
    site.manner = before
    reason = fetched(target, site.url, digest="planned").fact["reason"]
    assert ("the next run continues" in reason) == (before == "cut")
    site.content, site.manner = CONTENT[::-1], before.replace("cut", "ranges")
    assert fetched(target, site.url).fact["outcome"] == "done"
    assert set(site.begins) == {0}
    assert orders(target.state).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("manner", ["nothing", "cut", "until closed", ""])
def test_no_reason_tells_the_query_of_an_address(target: LocalSession, site: Site, manner: str) -> None:
    site.manner = manner
    address = f"{site.url}?X-Amz-Signature=0123456789abcdef&X-Amz-Expires=60"
    end = fetched(target, address, "0" * 64 if not manner else None, digest="planned")
    assert end.fact["outcome"] == "failed"
    assert f"{site.url}?…" in end.fact["reason"]
    assert "0123456789abcdef" not in str(end.fact)


def test_data_without_an_end_is_whole_when_its_digest_says_so(target: LocalSession, site: Site) -> None:
    site.manner = "until closed"
    assert fetched(target, site.url, DIGEST).fact["outcome"] == "done"
    assert fetched(target, site.url, "0" * 64).fact["outcome"] == "failed"


def test_an_archive_is_kept_as_it_is(target: LocalSession, site: Site) -> None:
    site.manner = "encoded"
    assert fetched(target, f"{site.url}.gz").fact["outcome"] == "done"
    assert gzip.decompress(orders(target.state).read_bytes()) == CONTENT


def test_an_address_without_a_tag_or_a_time_is_known_by_its_content(site: Site) -> None:
    site.manner = "no validator"
    first = address_digest(site.url)
    assert address_digest(site.url) == first
    site.content = CONTENT.swapcase()
    assert address_digest(site.url) != first


def test_half_of_an_address_has_no_identity(site: Site) -> None:
    site.manner = "no validator, cut"
    with pytest.raises(TargetError, match=r"it sent 7900 of 8000 bytes"):
        address_digest(site.url)


def test_data_that_changes_between_the_plan_and_the_download_is_not_kept(target: LocalSession, site: Site) -> None:
    planned = address_digest(site.url)
    site.content = b"other"
    end = fetched(target, site.url, digest=planned)
    assert "has changed since the run began" in end.fact["reason"]
    assert target.state.result("key", Result) is None


def test_other_content_than_promised_is_refused_and_not_tried_again(target: LocalSession, site: Site) -> None:
    end = fetched(target, site.url, "0" * 64)
    assert end.fact["outcome"] == "failed"
    assert end.fact["lasting"] is True
    assert f"has sha256 {DIGEST}" in end.fact["reason"]
    assert target.state.result("key", Result) is None


def test_an_address_that_does_not_answer_says_so(target: LocalSession, site: Site) -> None:
    end = fetched(target, "http://127.0.0.1:9/orders.csv", digest="planned")
    assert "Connection refused" in end.fact["reason"]


def test_a_local_file_is_used_where_it_lies(target: LocalSession, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_bytes(CONTENT)
    end = fetched(target, "orders.csv", DIGEST)
    assert end.fact["result"]["source"] == "orders.csv"
    assert orders(target.state) == tmp_path / "orders.csv"
    assert "has sha256" in fetched(target, "orders.csv", "1" * 64, DIGEST).fact["reason"]


def test_a_local_source_that_has_changed_since_the_plan_is_not_used(target: LocalSession, tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "may.csv").write_bytes(CONTENT)
    step = fetch_step("orders", None, Digests(tmp_path / "digests").of(tmp_path / "orders"))
    list(target.start(step, 1))
    (tmp_path / "orders" / "may.csv").write_bytes(b"other")
    with pytest.raises(TargetError, match="has changed since the run began"):
        orders(target.state)
    assert "has changed" in list(target.start(step, 2))[-1].fact["reason"]


@pytest.mark.parametrize("manner", ["file", "directory", "download"])
def test_a_copied_application_uses_its_own_data(
    target: LocalSession, tmp_path_factory: pytest.TempPathFactory, site: Site, manner: str
) -> None:
    here, copy = target.context.directory, tmp_path_factory.mktemp("copy") / "application"
    source = {"file": "orders.csv", "directory": "orders", "download": site.url}[manner]
    (here / "orders").mkdir()
    for path in (here / "orders.csv", here / "orders" / "may.csv"):
        path.write_bytes(CONTENT)
    assert fetched(target, source).fact["outcome"] == "done"
    shutil.copytree(here, copy, symlinks=True)
    shutil.rmtree(here)
    assert orders(StateDirectory(copy)).is_relative_to(copy)
    step = fetch_step(source, None, "digest")
    session = LocalSession(copy, "run-2")
    assert session.result(step) is not None
    assert session.result(fetch_step("elsewhere", None, "digest")) is None
    session.close()


def test_a_file_of_a_package_is_fetched_once_under_its_own_name(
    target: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stand_in() as registry:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{registry.url}/npm/")
        registry.node("@city/streets", "1.0", tarred({"package/data/orders.csv": CONTENT}))
        source = "npm:@city/streets@1.0#*.csv"
        end = fetched(target, source, digest="planned")
        assert end.fact["outcome"] == "done", end.fact
        assert (orders(target.state).name, orders(target.state).read_bytes()) == ("orders.csv", CONTENT)
        assert target.result(fetch_step(source, None, "planned")) is not None

        end = fetched(target, source, sha256="0" * 64)
        assert (end.fact["outcome"], end.fact["lasting"]) == ("failed", True)
        assert f"has sha256 {DIGEST}, but the file requires 000" in end.fact["reason"]
