from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plimsoll.errors import FileError, TargetError
from plimsoll.runtime.cache import ContentCache


class Site:
    """A web server of files in memory, with ranges and entity tags. It counts requests, and can be slow or break connections."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.sent = 0
        self.requests: list[str] = []
        self.seconds_a_piece = 0.0
        self.break_after: int | None = None
        self.tags = True
        self.lock = threading.Lock()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                content = site.files.get(self.path)
                site.requests.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
                if content is None:
                    self.send_error(404)
                    return
                tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
                start = 0
                asked = self.headers.get("Range", "")
                if asked.startswith("bytes=") and self.headers.get("If-Range") == tag:
                    start = int(asked[6:].split("-")[0])
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                if site.tags:
                    self.send_header("ETag", tag)
                self.end_headers()
                if body:
                    self.send(content[start:])

            def send(self, content: bytes) -> None:
                for offset in range(0, len(content), 1 << 16):
                    piece = content[offset : offset + (1 << 16)]
                    time.sleep(site.seconds_a_piece)
                    with site.lock:
                        if site.break_after is not None and site.sent >= site.break_after:
                            site.break_after = None
                            self.close_connection = True
                            return
                        site.sent += len(piece)
                    try:
                        self.wfile.write(piece)
                    except OSError:
                        return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def put(self, name: str, content: bytes) -> str:
        self.files[f"/{name}"] = content
        return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


def command(url: str, cache: Path, output: Path, *more: str) -> list[str]:
    module = [sys.executable, "-m", "plimsoll.runtime.fetch"]
    return [*module, url, "--cache", str(cache), "--output", str(output), *more]


def test_cached_content_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    digest = site.put("data", os.urandom(300_000))
    cache = ContentCache(tmp_path / "cache")
    first = cache.fetch(f"{site.url}/data", tmp_path / "a", digest)
    assert (first.sha256, first.size, first.fetched) == (digest, 300_000, 300_000)
    asked = len(site.requests)
    second = cache.fetch(f"{site.url}/data", tmp_path / "b", digest)
    assert second.fetched == 0
    assert (tmp_path / "b").read_bytes() == site.files["/data"]
    assert len(site.requests) == asked


def test_without_a_digest_the_source_is_asked_whether_it_changed(site: Site, tmp_path: Path) -> None:
    site.put("data", b"old" * 1000)
    cache = ContentCache(tmp_path / "cache")
    assert cache.fetch(f"{site.url}/data", tmp_path / "a").fetched == 3000
    assert cache.fetch(f"{site.url}/data", tmp_path / "a").fetched == 0
    site.put("data", b"new" * 1000)
    assert cache.fetch(f"{site.url}/data", tmp_path / "a").fetched == 3000
    assert (tmp_path / "a").read_bytes() == b"new" * 1000


def test_a_source_without_a_validator_is_downloaded_each_time(site: Site, tmp_path: Path) -> None:
    site.tags = False
    cache = ContentCache(tmp_path / "cache")
    for content in (b"one" * 1000, b"two" * 1000):
        site.put("data", content)
        assert cache.fetch(f"{site.url}/data", tmp_path / "a").fetched == 3000
        assert (tmp_path / "a").read_bytes() == content


@pytest.mark.slow
def test_workers_of_a_node_share_one_download(site: Site, tmp_path: Path) -> None:
    digest = site.put("data", os.urandom(2_000_000))
    site.seconds_a_piece = 0.01
    workers = [
        subprocess.Popen(
            command(f"{site.url}/data", tmp_path / "cache", tmp_path / f"out{number}"), stdout=subprocess.PIPE
        )
        for number in range(4)
    ]
    fetched = [json.loads(worker.communicate(timeout=50)[0])["fetched"] for worker in workers]
    assert sorted(fetched) == [0, 0, 0, 2_000_000]
    assert site.sent == 2_000_000
    assert {hashlib.sha256((tmp_path / f"out{number}").read_bytes()).hexdigest() for number in range(4)} == {digest}


def test_a_killed_download_is_continued(site: Site, tmp_path: Path) -> None:
    site.put("data", os.urandom(4_000_000))
    site.seconds_a_piece = 0.01
    process = subprocess.Popen(command(f"{site.url}/data", tmp_path / "cache", tmp_path / "out"))
    deadline = time.monotonic() + 20
    part: list[Path] = []
    while not any(path.stat().st_size > 1_000_000 for path in part):
        assert time.monotonic() < deadline
        time.sleep(0.005)
        part = [path for path in (tmp_path / "cache").glob("parts/*") if path.suffix != ".of"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = part[0].stat().st_size
    site.seconds_a_piece = 0
    assert not (tmp_path / "out").exists()
    entry = ContentCache(tmp_path / "cache").fetch(f"{site.url}/data", tmp_path / "out")
    assert entry.fetched == 4_000_000 - left
    assert (tmp_path / "out").read_bytes() == site.files["/data"]


def test_a_partial_download_of_changed_content_is_discarded(site: Site, tmp_path: Path) -> None:
    site.put("data", b"a" * 500_000)
    site.seconds_a_piece = 0.02
    process = subprocess.Popen(command(f"{site.url}/data", tmp_path / "cache", tmp_path / "out"))
    while site.sent < 200_000:
        time.sleep(0.01)
    process.kill()
    process.wait()
    site.seconds_a_piece = 0
    digest = site.put("data", b"b" * 500_000)
    entry = ContentCache(tmp_path / "cache").fetch(f"{site.url}/data", tmp_path / "out", digest)
    assert entry.fetched == 500_000
    assert (tmp_path / "out").read_bytes() == b"b" * 500_000


def test_a_download_continues_after_a_broken_connection(site: Site, tmp_path: Path) -> None:
    digest = site.put("data", os.urandom(1_000_000))
    site.break_after = 400_000
    entry = ContentCache(tmp_path / "cache").fetch(f"{site.url}/data", tmp_path / "out", digest)
    assert (tmp_path / "out").read_bytes() == site.files["/data"]
    assert entry.fetched == 1_000_000
    assert any("bytes=" in request for request in site.requests)


def test_data_with_another_digest_is_refused_and_no_file_is_written(site: Site, tmp_path: Path) -> None:
    site.put("data", b"something else")
    with pytest.raises(TargetError, match=r"has sha256 [0-9a-f]{64}, expected 0000"):
        ContentCache(tmp_path / "cache").fetch(f"{site.url}/data", tmp_path / "out", "0" * 64)
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "cache" / "objects").iterdir()) == []
    with pytest.raises(FileError, match="not a SHA-256"):
        ContentCache(tmp_path / "cache").fetch(f"{site.url}/data", tmp_path / "out", "nonsense")


def test_an_altered_byte_in_the_cache_is_found_and_downloaded_again(site: Site, tmp_path: Path) -> None:
    digest = site.put("data", os.urandom(100_000))
    cache = ContentCache(tmp_path / "cache")
    cache.fetch(f"{site.url}/data", tmp_path / "a", digest)
    kept = tmp_path / "cache" / "objects" / digest
    content = bytearray(kept.read_bytes())
    content[5] ^= 1
    kept.chmod(0o644)
    kept.write_bytes(content)
    entry = cache.fetch(f"{site.url}/data", tmp_path / "b", digest)
    assert entry.fetched == 100_000
    assert (tmp_path / "b").read_bytes() == site.files["/data"]


def test_the_least_recently_used_content_is_evicted_and_content_in_use_stays(site: Site, tmp_path: Path) -> None:
    digests = {name: site.put(name, os.urandom(100_000)) for name in "abcd"}
    cache = ContentCache(tmp_path / "cache", limit=320_000)
    objects = tmp_path / "cache" / "objects"
    for age, name in enumerate("abc"):
        cache.fetch(f"{site.url}/{name}", tmp_path / name, digests[name])
        os.utime(objects / digests[name], (1_000_000 + age, 1_000_000 + age))
    with cache.use(f"{site.url}/a", digests["a"]) as entry:
        os.utime(entry.path, (1, 1))
        cache.fetch(f"{site.url}/d", tmp_path / "d", digests["d"])
        assert {path.name for path in objects.iterdir()} == {digests[name] for name in "acd"}
    assert cache.size() <= 320_000
    with pytest.raises(TargetError, match="more than the cache's limit"):
        ContentCache(tmp_path / "small", limit=10).fetch(f"{site.url}/a", tmp_path / "x", digests["a"])


def test_readers_and_evictions_at_once_always_give_whole_content(site: Site, tmp_path: Path) -> None:
    digests = {f"f{number}": site.put(f"f{number}", os.urandom(50_000 + number)) for number in range(6)}
    cache = ContentCache(tmp_path / "cache", limit=160_000)

    def read(number: int) -> bool:
        name = f"f{number % 6}"
        with cache.use(f"{site.url}/{name}", digests[name]) as entry:
            return hashlib.sha256(entry.path.read_bytes()).hexdigest() == digests[name]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, range(60)))


def test_a_folder_is_fetched_file_by_file(tmp_path: Path) -> None:
    source = tmp_path / "source" / "deep"
    source.mkdir(parents=True)
    (source / "one").write_bytes(b"1")
    (source.parent / "two").write_bytes(b"22")
    done = subprocess.run(
        command(f"{source.parent}/", tmp_path / "cache", tmp_path / "out"), capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"path": str(tmp_path / "out"), "files": 2, "size": 3, "fetched": 3}
    assert (tmp_path / "out" / "deep" / "one").read_bytes() == b"1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/x", "cannot download the data"),
        ("{site}/missing", "the server answered 404"),
        ("/no/such/file", "No such file"),
    ],
)
def test_a_failed_download_is_reported_in_one_line(site: Site, tmp_path: Path, url: str, reason: str) -> None:
    done = subprocess.run(
        command(url.format(site=site.url), tmp_path / "cache", tmp_path / "out"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr
