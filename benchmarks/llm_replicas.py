"""Replicas of one language model: led to by what they have read, beside clients that ask one after the other.

Both have as many engines with the same slots and threads. Behind `routed` one server leads to them; a plain balancer is
as many servers of one engine, which are asked in turn. Questions begin with one of some long texts, then with none that
was there before.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from benchmarks.llm_servers import CONTEXT, SLOTS, ask, ours
from benchmarks.measuring import median, verdict

WORDS = 700
"""Of a long beginning: about as many tokens."""
TOKENS = 8
CLIENTS_OF_SLOT = 1.5
"""Requests at once for each slot: some wait, as they do where replicas are worth their memory."""
BEGINNINGS = 30
"""More than one engine's cache has room for, and fewer than two have."""


class Load(Struct, frozen=True, kw_only=True):
    """What a load came to: requests a second, and the 95th percentile to first tokens, in seconds."""

    rate: float
    first: float


def beginning(number: int) -> str:
    """A long text of its own."""
    draw = random.Random(number)
    return " ".join(
        draw.choice(("ship", "load", "line", "mark", "hull", "salt", "summer", "winter")) for _ in range(WORDS)
    )


async def _load(urls: Sequence[str], questions: Sequence[str], clients: int) -> Load:
    """All questions by so many clients at once, each to the next address."""
    turns, left = itertools.cycle(urls), iter(questions)
    firsts: list[float] = []

    async def client() -> None:
        for question in left:
            firsts.append((await ask(next(turns), question, TOKENS))[0])

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return Load(rate=len(questions) / seconds, first=sorted(firsts)[int(0.95 * (len(firsts) - 1))])


def _questions(rounds: int, seed: int, *, shared: bool) -> list[str]:
    """So many rounds over all beginnings in a drawn order; without `shared` each is met once in the whole program."""
    draw = random.Random(seed)
    found: list[str] = []
    for number in range(rounds):
        order = draw.sample(range(BEGINNINGS), BEGINNINGS)
        new = 1000 * (1 + rounds * seed + number)
        found += [f"{beginning(each if shared else new + each)} What of {seed} {number}?" for each in order]
    return found


def _servers(directory: Path, model: Path, replicas: int) -> Iterator[tuple[str, list[str]]]:
    """The way of leading, and the addresses that its clients ask; those of one way are up at a time."""
    with ours(directory / "routed", model, replicas=replicas, context=2 * CONTEXT) as (url, _):
        yield "routed", [url]
    with ExitStack() as stack:
        plain = [
            stack.enter_context(ours(directory / f"plain-{number}", model, context=2 * CONTEXT))[0]
            for number in range(replicas)
        ]
        yield "in turn", plain


def measure(model: Path, replicas: int, rounds: int) -> bool:
    """Print both loads by both ways; true when shared beginnings gain as much as is promised."""
    clients = max(2, round(CLIENTS_OF_SLOT * SLOTS * replicas))
    found: dict[tuple[str, str], Load] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for way, urls in _servers(Path(scratch), model, replicas):
            asyncio.run(_load(urls, _questions(1, 1, shared=True), clients))
            for name, shared in (("shared", True), ("new", False)):
                load = asyncio.run(_load(urls, _questions(rounds, 2, shared=shared), clients))
                found[way, name] = load
                print(
                    f"  {way}, {name} beginnings: {load.rate:.2f} requests a second,"
                    f" first token {load.first:.2f} s at p95",
                    flush=True,
                )
    gained = found["routed", "shared"].rate / found["in turn", "shared"].rate
    sooner = found["routed", "shared"].first / found["in turn", "shared"].first
    new = 100 * (1 - found["routed", "new"].rate / found["in turn", "new"].rate)
    return all(
        [
            verdict("times the requests a second in turn, at shared beginnings", gained, 2, "", at_least=True),
            verdict("times the first token in turn at p95, at shared beginnings", sooner, 1, ""),
            verdict("fewer requests a second where no beginning is shared", new, 5, "%"),
        ]
    )


def measure_choice(rounds: int = 5, requests: int = 2000) -> bool:
    """The router by itself: what a choice costs for a request of a long beginning."""
    import msgspec

    from plimsoll.llms.prefixes import blocks_of
    from plimsoll.llms.requests import read_request
    from plimsoll.llms.routing import Router

    texts = [beginning(number) for number in range(BEGINNINGS)]
    bodies = [
        msgspec.json.encode({"model": "writer", "messages": [{"role": "user", "content": each}]}) for each in texts
    ]
    asked = [read_request("chat", each) for each in bodies]
    router, took = Router(2), []
    for _ in range(rounds):
        began = time.process_time()
        for number in range(requests):
            router.choose(blocks_of(asked[number % BEGINNINGS]), (number % 3, 1), (0, 1))
        took.append(1000 * (time.process_time() - began) / requests)
    return verdict("of processor time for each choice", median(took), 0.1, "ms")
