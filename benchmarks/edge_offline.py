"""A day without a link: every result of it arrives once when the link is back, over 2 Mbit/s.

    python -m benchmarks edge --offline

The day is pressed into minutes by load, and no clock is moved: one result for each of its seconds, answered by the real
server of a real agent while its link is cut.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.edge_link import Link
from benchmarks.measuring import verdict
from benchmarks.registry import registry
from benchmarks.serving_models import COLUMNS

RESULTS = 86_400
RATE = 2e6 / 8
"""Bytes per second of the link that is back."""
MINUTES = 5.0
KEEP = 256 << 20
CLIENTS = 4


def offline(device_at: Callable[[Path, str], Device], results: int) -> bool:
    """Run it with a device that looks at the link."""
    print(f"edge: {results} results without a link, and then 2 Mbit/s")
    with tempfile.TemporaryDirectory() as name, registry(Path(name)) as place:
        link = Link(int(place.registry.rpartition(":")[2]))
        device = device_at(Path(name), f"127.0.0.1:{link.port}/bench/step")
        try:
            device.enroll()
            link.cut()
            took = _answered(device.url(), results)
            print(f"  {results} results in {took:.0f} s, {results / took:.0f} a second")
            # What nobody writes to any more is pressed, and the rest is taken, at the next syncs.
            time.sleep(5)
            waits = sum(path.stat().st_size for path in (device.directory / "spool").iterdir())
            link.rate, link.bytes = RATE, 0
            link.heal()
            began = time.monotonic()
            ids = _arrived(device, results, began)
            minutes = (time.monotonic() - began) / 60
        finally:
            device.cut()
    twice = sum(count - 1 for count in ids.values())
    print(f"  {waits / 1e6:.1f} MB waited on the disk; {link.bytes / 1e6:.1f} MB went over the link both ways")
    return all(
        (
            verdict("results that were lost", results - len(ids), 0, "of them"),
            verdict("results that came twice", twice, 0, "of them"),
            verdict("from the link to the last result", minutes, MINUTES, "min"),
            verdict("disk that the logs took", waits / 1e6, KEEP / 1e6, "MB"),
        )
    )


class Device:
    """What this needs of a device; `benchmarks.edge` has it."""

    directory: Path
    owner: Path

    def enroll(self) -> None:
        """Join, and take the first release."""

    def cut(self) -> None:
        """End."""

    def url(self) -> str:
        """The address of its server."""
        raise NotImplementedError

    def processes(self) -> dict[str, list[int]]:
        """The processes of its agent, and those of its servers."""
        raise NotImplementedError

    def plimsoll(self, *words: str) -> str:
        """Run a command of the owner."""
        raise NotImplementedError


def _answered(url: str, results: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for each in [pool.submit(_ask, url, range(first, results, CLIENTS)) for first in range(CLIENTS)]:
            each.result()
    return time.perf_counter() - began


def _ask(url: str, numbers: range) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, COLUMNS], "data": [0.5] * COLUMNS}
    for number in numbers:
        body = json.dumps({"id": f"r{number}", "inputs": [tensor]})
        connection.request("POST", "/v2/models/wear/infer", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"result {number}: status {answer.status}")
    connection.close()


def _arrived(device: Device, results: int, began: float) -> Counter[str]:
    """The ids that the owner has, until all are there or twice the time is over."""
    ids: Counter[str] = Counter()
    read: set[Path] = set()
    while len(ids) < results and time.monotonic() - began < 2 * MINUTES * 60:
        device.plimsoll("edge", "logs", "cabs", "--output", "logs")
        for path in sorted((device.owner / "logs" / "cab-1").glob("*-audit.jsonl")):
            if path not in read:
                read.add(path)
                lines = (json.loads(line) for line in path.read_text().splitlines())
                ids.update(str(line["id"]) for line in lines if str(line.get("id", "")).startswith("r"))
    return ids
