"""Servers of language models for benchmarks: ours, and the processes around them; and one streamed question."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.measuring import users_environment
from plimsoll.llms.settings import LlmSettings
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile

CONTEXT, SLOTS, THREADS, TOKENS = 1024, 4, 1, 64
START_LIMIT = 180.0


async def ask(url: str, question: str, tokens: int) -> tuple[float, int]:
    """One streamed answer: seconds to its first token, and its tokens."""
    import asyncio

    address = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
    message = {"role": "user", "content": question}
    asked = {"model": "writer", "messages": [message], "max_tokens": tokens, "temperature": 0, "stream": True}
    body = msgspec.json.encode(asked)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    began, first, count = time.perf_counter(), 0.0, 0
    while line := await reader.readline():
        if b'"content":"' in line or b'"content": "' in line:
            count += 1
            first = first or time.perf_counter() - began
    writer.close()
    if not count:
        sys.exit(f"{url} gave no token")
    return first, count


@contextlib.contextmanager
def ours(
    directory: Path, model: Path, *, replicas: int = 1, context: int = CONTEXT, threads: int = THREADS
) -> Iterator[tuple[str, int]]:
    """Our server of a GGUF file, each replica with `threads`: its address and its process."""
    settings = LlmSettings(engine="llama.cpp", context=context, slots=SLOTS, tokens=TOKENS, queue=64, replicas=replicas)
    with serving(directory, settings, str(model), threads * replicas) as found:
        yield found


@contextlib.contextmanager
def serving(directory: Path, settings: LlmSettings, path: str, threads: int = THREADS) -> Iterator[tuple[str, int]]:
    """Our server: its address and its process."""
    directory.mkdir(parents=True, exist_ok=True)
    file = ModelFile(name="writer", version="1", path=path, digest="sha256:0", llm=settings)
    service, ready = directory / "service.json", directory / "ready.json"
    service.write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(service), "--ready-file", str(ready)]
    with running([*argv, "--threads", str(threads)], directory / "ours.log") as process:
        wait_until(ready.exists, process)
        yield str(msgspec.json.decode(ready.read_bytes())["url"]), process.pid


@contextlib.contextmanager
def running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, until the end of the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, env=users_environment())
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for a process to come up. Exits when it does not."""
    deadline = time.monotonic() + START_LIMIT
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{process.args!r} does not come up")
        time.sleep(0.05)


def cpu(pid: int) -> float:
    """Seconds of processor time of one process, without those that it has started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Bytes of its resident memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10
