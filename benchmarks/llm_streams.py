"""Thousands of streams at once through our server, from a stand-in for an engine that speaks at a pace.

A real engine on two cores computes a handful of answers at once; the stand-in shows what the server itself costs for
each stream, and that none is lost. One stream more than there is room for is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.llm_servers import ask, cpu, memory, running, serving, wait_until
from benchmarks.measuring import ROOT, median, verdict
from benchmarks.servers import ports
from plimsoll.llms.settings import EndpointSettings, LlmSettings

TOKENS = 10
PACE = 2.0
"""Seconds between two tokens of a stream."""
ALONE = 20
RAMP = 0.001
"""Seconds between two beginnings: clients do not come in one moment."""


async def _streams(url: str, count: int) -> tuple[list[float], int]:
    """Seconds to the first tokens beyond the engine's own pace, and tokens that came."""

    async def one(number: int) -> tuple[float, int]:
        await asyncio.sleep(number * RAMP)
        return await ask(url, f"Question {number}", TOKENS)

    found = await asyncio.gather(*(one(number) for number in range(count)))
    return [first - PACE for first, _ in found], sum(tokens for _, tokens in found)


async def _one_more(url: str, port: int, count: int) -> tuple[tuple[list[float], int], int, str]:
    """All streams, and meanwhile the status and `Retry-After` of one that is too many."""
    streams = asyncio.create_task(_streams(url, count))
    await asyncio.sleep(count * RAMP + 2 * PACE)
    status, after = await asyncio.to_thread(_refused, port)
    return await streams, status, after


def _refused(port: int) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = '{"model": "writer", "messages": [{"role": "user", "content": "one more"}]}'
    connection.request("POST", "/v1/chat/completions", body)
    answer = connection.getresponse()
    return answer.status, answer.headers.get("retry-after", "")


def measure(count: int) -> bool:
    """Print the figures; true when all keep their limits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * count + 256
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"{count} streams need {needed} open files, and this machine's limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    port = next(ports)
    engine = [sys.executable, str(ROOT / "benchmarks" / "peers" / "bare_stream.py"), str(port), str(PACE)]
    endpoint = EndpointSettings(url=f"http://127.0.0.1:{port}/v1", model="writer")
    settings = LlmSettings(engine="vllm", slots=count, tokens=TOKENS, queue=0, endpoint=endpoint)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        directory = Path(scratch)
        process = stack.enter_context(running(engine, directory / "engine.log"))
        wait_until(lambda: _is_open(port), process)
        url, pid = stack.enter_context(serving(directory / "ours", settings, ""))
        asyncio.run(_streams(url, ALONE))
        before, used, began = memory(pid), cpu(pid), time.perf_counter()
        (firsts, tokens), status, after = asyncio.run(_one_more(url, int(url.rpartition(":")[2]), count))
        seconds, used, grown = time.perf_counter() - began, cpu(pid) - used, memory(pid) - before
    print(
        f"  {count} streams of {TOKENS} tokens in {seconds:.1f} s: first tokens {1000 * median(firsts):.0f} ms after"
        f" the engine's in the middle; one more got {status}, Retry-After {after or 'nothing'}"
    )
    return all(
        [
            verdict("of all tokens came", 100 * tokens / (count * TOKENS), 100, "%", at_least=True),
            verdict("of our server's processor time for each streamed token", 1000 * used / tokens, 0.2, "ms"),
            verdict("of memory for each stream", grown / count / 1024, 64, "KiB"),
            verdict(
                "of one stream too many refused with Retry-After",
                float(status == 429 and bool(after)),
                1,
                "",
                at_least=True,
            ),
        ]
    )


def _is_open(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
