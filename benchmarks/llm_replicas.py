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
from collections.abc import Callable, Sequence
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


def _questions(number: int, *, shared: bool) -> list[str]:
    """A round over all beginnings in a drawn order; without `shared` each is met once in the whole program."""
    order = random.Random(number).sample(range(BEGINNINGS), BEGINNINGS)
    return [f"{beginning(each if shared else 1000 * (1 + number) + each)} What of {number}?" for each in order]


def measure(model: Path, replicas: int, rounds: int) -> bool:
    """Print both loads by both ways; true when shared beginnings gain as much as is promised.

    Both ways are up, and their rounds alternate, so that other work on the machine meets both.
    """
    clients = max(2, round(CLIENTS_OF_SLOT * SLOTS * replicas))
    found: dict[tuple[str, str], list[Load]] = {}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        names = [f"plain-{number}" for number in range(replicas)]
        ways = {
            "routed": [stack.enter_context(ours(folder / "routed", model, replicas=replicas, context=2 * CONTEXT))[0]],
            "in turn": [stack.enter_context(ours(folder / name, model, context=2 * CONTEXT))[0] for name in names],
        }
        # The first round fills caches, and counts for nothing.
        for number in range(rounds + 1):
            for kind in ("shared", "new"):
                questions = _questions(number, shared=kind == "shared")
                for way, urls in ways.items():
                    load = asyncio.run(_load(urls, questions, clients))
                    if number:
                        found.setdefault((way, kind), []).append(load)
    for (way, kind), loads in found.items():
        print(
            f"  {way}, {kind} beginnings: {median([each.rate for each in loads]):.2f} requests a second,"
            f" first token {median([each.first for each in loads]):.2f} s at p95",
            flush=True,
        )

    def ratio(kind: str, figure: Callable[[Load], float]) -> float:
        pairs = zip(found["routed", kind], found["in turn", kind], strict=True)
        return median([figure(one) / figure(other) for one, other in pairs])

    return all(
        [
            verdict("times the requests a second, shared beginnings", ratio("shared", _rate), 2, "", at_least=True),
            verdict("times the first token at p95, shared beginnings", ratio("shared", _first), 1, ""),
            verdict("fewer requests a second, new beginnings", 100 * (1 - ratio("new", _rate)), 5, "%"),
        ]
    )


def _rate(load: Load) -> float:
    return load.rate


def _first(load: Load) -> float:
    return load.first


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
