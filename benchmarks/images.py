"""What travels: a changed script to a pushed image, and data to workers of a node, against copies of everything.

The peer of the push is a copy of the same image, layers and all, to a disk, written through. The peer of the cache is
each worker fetching for itself at each epoch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, median, verdict
from benchmarks.registry import registry
from plimsoll.images.base import find_base
from plimsoll.images.build import step_image
from plimsoll.images.image import Image, PushedImage, push_image
from plimsoll.images.layers import LayerStore
from plimsoll.registry.repository import Repository

REQUIREMENTS = "numpy==2.2.6\nscipy==1.15.3\n"
CHANGES = 7
WORKERS, EPOCHS = 4, 3
SIZE = 64 << 20


def main(_: list[str]) -> bool:
    """Print both; true when both keep their limits."""
    with tempfile.TemporaryDirectory() as name:
        pushed = _pushing(Path(name))
    with tempfile.TemporaryDirectory() as name:
        return _reading(Path(name)) and pushed


def _pushing(directory: Path) -> bool:
    print("images: an application with numpy and scipy on a base with Python, to a registry on this machine")
    application = directory / "app"
    application.mkdir()
    (application / "requirements.txt").write_text(REQUIREMENTS)
    store = LayerStore(directory / "store")
    archive = _base(directory)
    with registry(directory) as reference, Repository(reference) as repository:
        base = find_base(f"oci-archive:{archive}", store)

        def change(number: int) -> tuple[float, Image, PushedImage]:
            (application / "train.py").write_text(f"import scipy\nprint({number}, scipy.__version__)\n")
            began = time.perf_counter()
            code = [("train.py", hashlib.sha256((application / "train.py").read_bytes()).hexdigest())]
            image = step_image(
                store,
                base,
                directory=application,
                code=code,
                requirements="requirements.txt",
                environment_digest=hashlib.sha256(REQUIREMENTS.encode()).hexdigest(),
            )
            pushed = push_image(image, repository, store, tag="step")
            return time.perf_counter() - began, image, pushed

        seconds, image, first = change(0)
        print(f"  first push: {seconds:.1f} s with the packages installed and packed, {first.sent / 1e6:.1f} MB")
        changes = [change(number) for number in range(1, CHANGES + 1)]
        copied = [_copied(image, directory / f"copy{number}") for number in range(3)]
    sent, took = median([each[2].sent for each in changes]), median([each[0] for each in changes])
    print(f"  a copy of everything: {median([each[0] for each in copied]):.2f} s, {copied[0][1] / 1e6:.1f} MB")
    print(f"  a changed script: {took:.3f} s, {sent / 1e3:.1f} kB, {copied[0][1] / sent:,.0f} times fewer bytes")
    return verdict("changed script to pushed image", took, 1.0, "s") & verdict("bytes of it", sent, 10_000, "bytes")


def _copied(image: Image, target: Path) -> tuple[float, int]:
    """Seconds and bytes of a copy of all blobs, on the disk."""
    target.mkdir()
    began, size = time.perf_counter(), 0
    for layer in image.layers:
        assert layer.path is not None
        copy = target / layer.path.name
        shutil.copyfile(layer.path, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        size += layer.descriptor.size
    return time.perf_counter() - began, size


def _base(directory: Path) -> Path:
    from lab.images import archive
    from lab.images.python import python_base

    archive.save(python_base(), directory / "python.tar")
    return directory / "python.tar"


def _reading(directory: Path) -> bool:
    print(f"cache: {WORKERS} workers of a node, {EPOCHS} epochs, {SIZE / 1e6:.0f} MB over HTTP")
    (directory / "site").mkdir()
    (directory / "site" / "train.bin").write_bytes(os.urandom(SIZE))
    with _site(directory / "site") as (url, sent):
        bare = _epochs(directory, url, shared=False)
        without = sent()
        cached = _epochs(directory, url, shared=True)
        through = sent() - without
    print(f"  each for itself: {without / SIZE:.2f} times the data over the network, {bare:.1f} s")
    print(f"  through the cache: {through / SIZE:.2f} times, {cached:.1f} s")
    return verdict("bytes over the network, in sizes of the data", through / SIZE, 1.01, "times")


def _epochs(directory: Path, url: str, *, shared: bool) -> float:
    began = time.perf_counter()
    for epoch in range(EPOCHS):
        workers = []
        for worker in range(WORKERS):
            # A cache of its own for each fetch is none.
            cache = directory / ("cache" if shared else f"none{epoch}-{worker}")
            output = directory / f"out{worker}"
            module = [sys.executable, "-m", "plimsoll.runtime.fetch", url, "--cache", str(cache)]
            workers.append(subprocess.Popen([*module, "--output", str(output)], stdout=subprocess.PIPE, cwd=ROOT))
        for process in workers:
            out, _ = process.communicate(timeout=300)
            if process.returncode != 0 or json.loads(out)["size"] != SIZE:
                sys.exit(f"cache: a worker ended with {process.returncode}")
    return time.perf_counter() - began


@contextlib.contextmanager
def _site(directory: Path) -> Iterator[tuple[str, Any]]:
    """A web server that counts the bytes of bodies."""
    total = [0]
    lock = threading.Lock()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def copyfile(self, source: Any, outputfile: Any) -> None:
            while piece := source.read(1 << 16):
                with lock:
                    total[0] += len(piece)
                outputfile.write(piece)

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/train.bin", lambda: total[0]
    server.shutdown()
    server.server_close()
