"""A registry over plain HTTP on this machine, as a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.registry.references import Reference, parse_reference


@contextlib.contextmanager
def registry(directory: Path) -> Iterator[Reference]:
    """Start it; gives a repository in it. What it stores lies in `directory/data`."""
    built = folder_of(BY_NAME["registry"]) / "registry"
    program = str(built) if built.exists() else shutil.which("docker-registry")
    if program is None:
        sys.exit("this needs a registry: python -m lab.build registry, or apt-get install docker-registry")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings = directory / "registry.yaml"
    storage = f"storage: {{filesystem: {{rootdirectory: {directory / 'data'}}}}}"
    settings.write_text(f"version: 0.1\nlog: {{level: error}}\n{storage}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    process = subprocess.Popen([program, "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if time.monotonic() > deadline:
                sys.exit("the registry does not start")
            time.sleep(0.02)
        yield parse_reference(f"127.0.0.1:{port}/bench/step")
    finally:
        process.kill()
        process.wait()
