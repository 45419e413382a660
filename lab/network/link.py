"""The lab's link to the world: slowed, throttled or cut at the door through which programs reach the API server."""

from __future__ import annotations

import json
import re

from lab import layout
from lab.errors import LabError
from lab.files import write

SETTINGS = layout.FOLDER / "link.json"
"""What the forwarder reads while it runs. Without the file the link is as good as the machine's own."""
MOST_DELAY = 10_000.0
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def set_link(*, delay: float = 0.0, rate: float = 0.0, cut: bool = False) -> None:
    """`delay` in milliseconds each way, `rate` in bits a second each way, 0 for unlimited; `cut` lets nothing pass."""
    write(SETTINGS, json.dumps({"delay": delay, "rate": rate, "cut": cut}))


def state() -> str:
    """The link in words: "cut", "slowed (100 ms, 2.0 Mbit/s)", or "" for a good one."""
    if not SETTINGS.exists():
        return ""
    found = json.loads(SETTINGS.read_bytes())
    if found["cut"]:
        return "cut"
    words = [f"{found['delay']:g} ms"] if found["delay"] else []
    words += [f"{found['rate'] / 1e6:g} Mbit/s"] if found["rate"] else []
    return f"slowed ({', '.join(words)})" if words else ""


def read_delay(text: str) -> float:
    """Milliseconds of '20ms'. Raises LabError."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(?:ms)?", text)
    if found is None or not 0 <= float(found[1]) <= MOST_DELAY:
        raise LabError(f"--delay: expected 0ms to {MOST_DELAY:.0f}ms such as 20ms, got '{text}'")
    return float(found[1])


def read_rate(text: str) -> float:
    """Bits a second of '2Mbit'. Raises LabError."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([kMG]?)bit", text)
    if found is None or not (rate := float(found[1]) * _UNITS[found[2]]):
        raise LabError(f"--rate: expected bits a second such as 2Mbit or 500kbit, got '{text}'")
    return rate
