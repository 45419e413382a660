"""The loop of a city: devices count cars, the city learns from what they send, and the devices count better.

    python city.py            # after `plimsoll run`

Registry, agents and their servers are real, on this machine (`fleet.py`). The camera `south` sees the same street as
`north` at dusk. The commands are printed as they are run.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import camera
from fleet import GROUP, HERE, STATE, devices, disk, plimsoll, registry, rolled_out, told, wait

LIGHT = {"north": 1.0, "south": 0.4}
HELD_OUT = 20  # frames that are not multiples of it are judged, and not learnt from: see head.py


def main() -> None:
    frames = frames_of_the_run()
    with registry(), devices(list(LIGHT)):
        rolled_out()
        began, sent = datetime.now(UTC), uploaded()
        before = watched(frames, "the threshold of the release that there was")
        fetch(sum(map(len, before.values())), began)
        print(f"{uploaded() - sent} bytes of logs came from the devices; ", end="")
        print(f"their frames as JPEG have {len(LIGHT) * frames.with_name('frames.zip').stat().st_size}\n")
        plimsoll("run")
        rolled_out()
        print(f"{max(each['fetched'] for each in told().values())} bytes took the release to a device\n")
        after = watched(frames, "the threshold that was learnt")
        written = {"off": {name: {"before": off(before[name]), "after": off(after[name])} for name in LIGHT}}
        (STATE / "figures.json").write_text(json.dumps(written))


def frames_of_the_run() -> Path:
    """The frames that `plimsoll run` has made."""
    found = sorted(STATE.glob("results/*/output/frames.rgb"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit("there are no frames yet: plimsoll run")
    return found[-1]


def watched(frames: Path, title: str) -> dict[str, list[dict[str, float]]]:
    """What both cameras have seen."""
    print(f"{title}:")
    seen = {name: list(camera.watch(disk(name), camera.frames(frames, light))) for name, light in LIGHT.items()}
    for name, each in seen.items():
        cars, jams = sum(int(frame["cars"]) for frame in each), sum(bool(frame["jam"]) for frame in each)
        middle = sorted(frame["ms"] for frame in each)[len(each) // 2]
        found = f"{cars} cars, {jams} jams on {len(each)} frames"
        print(f"  {name}: {found}; off by {off(each):.2f} cars a frame; {middle:.0f} ms a frame", flush=True)
    print()
    return seen


def off(seen: list[dict[str, float]]) -> float:
    """How many cars the counts are off from those by eye, on the frames that nothing is learnt from."""
    with (HERE / "counted.csv").open(newline="") as file:
        counted = {int(row["frame"]): int(row["cars"]) for row in csv.DictReader(file)}
    judged = [each for each in seen if each["frame"] in counted and each["frame"] % HELD_OUT]
    return sum(abs(each["cars"] - counted[int(each["frame"])]) for each in judged) / len(judged)


def uploaded() -> int:
    """Bytes of logs that the devices have sent on this day."""
    return sum(each["uploaded"] for each in told().values())


def fetch(answers: int, began: datetime) -> None:
    """Have so many answers here that the devices have given since then."""
    command = ("edge", "logs", GROUP, "--output", "sent")
    plimsoll(*command)

    def all_there() -> bool:
        plimsoll(*command, quiet=True)
        return arrived(began) >= answers

    wait(all_there, "the logs of the devices to arrive")


def arrived(began: datetime) -> int:
    paths = (HERE / "sent").glob("*/*-cars-audit.jsonl")
    lines = (json.loads(line) for path in paths for line in path.read_text().splitlines())
    return sum("id" in line and datetime.fromisoformat(line["at"]) > began for line in lines)


if __name__ == "__main__":
    main()
