"""Data from S3: a real MinIO, the store's own library, real processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import CuttingProxy, object_store

pytest.importorskip("s3fs", reason="needs the extra s3")
SIZE = 12 << 20


class Store:
    def __init__(self, port: int, environment: dict[str, str]) -> None:
        self.port = port
        self.environment = environment

    def put(self, name: str, content: bytes) -> str:
        script = "import sys, s3fs; s3fs.S3FileSystem().pipe_file('data/' + sys.argv[1], sys.stdin.buffer.read())"
        environment = {**os.environ, **self.environment}
        subprocess.run([sys.executable, "-c", script, name], input=content, env=environment, check=True)
        return hashlib.sha256(content).hexdigest()

    def fetch(self, url: str, cache: Path, output: Path, *more: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "plimsoll.runtime.fetch", url, "--cache", str(cache), "--output", str(output)]
        return subprocess.Popen(
            [*command, *more],
            env={**os.environ, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with object_store(tmp_path_factory.mktemp("minio") / "disk") as (port, environment):
        deadline = time.monotonic() + 30
        store = Store(port, environment)
        while True:
            # It listens before it is ready.
            try:
                store.put("first", b"1")
                break
            except subprocess.CalledProcessError:
                assert time.monotonic() < deadline
        yield store


def said(process: subprocess.Popen[str]) -> dict[str, int]:
    out, errors = process.communicate(timeout=50)
    assert process.returncode == 0, errors
    answer: dict[str, int] = json.loads(out)
    return answer


def test_workers_of_a_node_read_an_object_once(store: Store, tmp_path: Path) -> None:
    content = os.urandom(SIZE)
    digest = store.put("train.bin", content)
    workers = [store.fetch("s3://data/train.bin", tmp_path / "cache", tmp_path / f"out{number}") for number in range(3)]
    assert sorted(said(worker)["fetched"] for worker in workers) == [0, 0, SIZE]
    assert (tmp_path / "out2").read_bytes() == content
    again = store.fetch(
        "s3://data/train.bin",
        tmp_path / "cache",
        tmp_path / "out",
        "--sha256",
        digest,
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
    )
    assert said(again)["fetched"] == 0


def test_an_object_that_changed_is_downloaded_again(store: Store, tmp_path: Path) -> None:
    for content in (b"old" * 1000, b"new" * 1000):
        store.put("changing", content)
        assert said(store.fetch("s3://data/changing", tmp_path / "cache", tmp_path / "out"))["fetched"] == 3000
        assert (tmp_path / "out").read_bytes() == content


def test_a_killed_download_is_continued(store: Store, tmp_path: Path) -> None:
    content = os.urandom(4 * SIZE)
    store.put("large", content)
    process = store.fetch("s3://data/large", tmp_path / "cache", tmp_path / "out")
    deadline = time.monotonic() + 40
    part: list[Path] = []
    while not any(path.stat().st_size > 2 << 20 for path in part):
        assert time.monotonic() < deadline
        time.sleep(0.002)
        part = [path for path in (tmp_path / "cache").glob("parts/*") if path.suffix != ".of"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = part[0].stat().st_size
    assert said(store.fetch("s3://data/large", tmp_path / "cache", tmp_path / "out"))["fetched"] == 4 * SIZE - left
    assert (tmp_path / "out").read_bytes() == content


def test_a_connection_that_breaks_off_does_not_stop_a_fetch(store: Store, tmp_path: Path) -> None:
    content = os.urandom(SIZE)
    digest = store.put("broken", content)
    proxy = CuttingProxy(store.port, down=[5 << 20, 2 << 20])
    through = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
    said(store.fetch("s3://data/broken", tmp_path / "cache", tmp_path / "out", "--sha256", digest, **through))
    assert proxy.cuts["down"] == []
    assert (tmp_path / "out").read_bytes() == content
    proxy.close()


def test_a_folder_of_objects_is_fetched_as_one(store: Store, tmp_path: Path) -> None:
    for name in ("set/a", "set/deep/b"):
        store.put(name, name.encode())
    answer = said(store.fetch("s3://data/set/", tmp_path / "cache", tmp_path / "out"))
    assert answer["files"] == 2
    assert (tmp_path / "out" / "deep" / "b").read_bytes() == b"set/deep/b"


@pytest.mark.parametrize(
    ("url", "environment", "reason"),
    [
        ("s3://data/missing", {}, "there is no file at this URL"),
        ("s3://data/first", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the store denied access"),
    ],
)
def test_an_error_of_the_store_is_reported_in_one_line(
    store: Store, tmp_path: Path, url: str, environment: dict[str, str], reason: str
) -> None:
    process = store.fetch(url, tmp_path / "cache", tmp_path / "out", **environment)
    out, errors = process.communicate(timeout=50)
    assert (process.returncode, out) == (1, "")
    assert errors.count("\n") == 1
    assert reason in errors
