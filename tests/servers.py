"""Real servers that tests talk to, as processes of their own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.registry.references import Reference, parse

SETTINGS = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{more}
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def registry_program() -> str:
    """The lab's registry, or Debian's; the test is skipped without either."""
    built = folder_of(BY_NAME["registry"]) / "registry"
    found = str(built) if built.exists() else shutil.which("docker-registry") or shutil.which("registry")
    if found is None:
        pytest.skip("needs a registry: python -m lab.build registry, or apt-get install docker-registry")
    return found


@contextlib.contextmanager
def registry(directory: Path, more: str = "") -> Iterator[Reference]:
    """A registry over plain HTTP; gives a repository in it. What it stores lies in `directory/data`."""
    program, port = registry_program(), free_port()
    settings = directory / "registry.yaml"
    settings.write_text(SETTINGS.format(root=directory / "data", port=port, more=more))
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield parse(f"127.0.0.1:{port}/team/application")
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.02)
