"""Frames of a street at the edge against sending all of them to a cloud, over a link of 200 ms and 2 Mbit/s.

    python -m benchmarks edge --frames 100

The models are those of `examples/traffic`, served by a real agent. The cloud has the very servers that the device has,
so that the link is all that differs. What goes over the device's own link is counted with its looks at the registry.
"""

from __future__ import annotations

import http.client
import importlib
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from benchmarks.edge_link import Link
from benchmarks.edge_offline import Device
from benchmarks.measuring import ROOT, peer, verdict
from benchmarks.registry import registry

EXAMPLE = ROOT / "examples" / "traffic"
RECEIVER = Path(__file__).parent / "peers" / "frame_receiver.py"
RATE = 2e6 / 8
"""Bytes per second of the link, in each direction."""
DELAY = 0.1
"""Seconds of the link, in each direction."""
A_SECOND = 5
"""Frames of a camera."""
CAMERAS = 2
FRAME_LIMIT = 50.0
"""Milliseconds of a frame at the edge, the median."""
BYTES_LIMIT = 40.0
"""Percent of the bytes of the pictures."""
LOGS_LIMIT = 120.0


def frames(device_at: Callable[[Path, str], Device], count: int) -> bool:
    """Run it with so many frames."""
    print(f"edge: {count} frames of a street, a link of {2000 * DELAY:.0f} ms and {RATE * 8 / 1e6:.0f} Mbit/s")
    with tempfile.TemporaryDirectory() as name, registry(Path(name)) as place:
        link = Link(int(place.registry.rpartition(":")[2]))
        device = device_at(Path(name), f"127.0.0.1:{link.port}/bench/step")
        try:
            device.enroll()
            camera, raw, pictures = _frames(device.owner)
            images = list(itertools.islice(itertools.cycle(raw), count))
            link.rate, link.delay, link.bytes = RATE, DELAY, 0
            took = _at_the_edge(camera, device, images)
            sent = _sent(device, link)
            link.rate, link.delay = 0.0, 0.0
            arrived = _arrived(device)
            through = list(itertools.islice(itertools.cycle(pictures), count))
            _in_the_cloud(device, through)
        finally:
            device.cut()
    share = 100 * sent / sum(map(len, through))
    print(f"  {sent / count:.0f} bytes a frame on the device's link, {sum(map(len, through)) / count:.0f} as a picture")
    return all(
        (
            verdict("a frame at the edge, p50", took[count // 2], FRAME_LIMIT, "ms"),
            verdict("bytes against sending the pictures", share, BYTES_LIMIT, "%"),
            verdict("answers that were lost", count - arrived, 0, "of them"),
        )
    )


def prepared(owner: Path, place: str) -> None:
    """Have the example in the directory of an owner, with the group of `benchmarks.edge`."""
    shutil.copytree(EXAMPLE, owner, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".plimsoll", "__pycache__"))
    text = (owner / "plimsoll.yaml").read_text()
    group = text.replace("cameras:", "cabs:").replace("127.0.0.1:8486/traffic", place)
    (owner / "plimsoll.yaml").write_text(group.replace('["50%", "100%"]', '["100%"]').replace("hold: 1s", "hold: 0s"))


def _frames(owner: Path) -> tuple[ModuleType, list[tuple[int, bytes]], list[bytes]]:
    """The example's camera, the frames as it has them, and as pictures."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        camera = importlib.import_module("camera")
    finally:
        sys.path.remove(str(EXAMPLE))
    (raw,) = owner.glob(".plimsoll/results/*/output/frames.rgb")
    with zipfile.ZipFile(raw.with_name("frames.zip")) as archive:
        pictures = [archive.read(name) for name in archive.namelist()]
    return camera, list(camera.frames(raw, 1.0)), pictures


def _at_the_edge(camera: ModuleType, device: Device, images: Sequence[tuple[int, bytes]]) -> list[float]:
    list(camera.watch(device.directory, iter(images[:5])))
    before = _processor(device)
    took = sorted(float(each["ms"]) for each in camera.watch(device.directory, iter(images)))
    each = 1000 * (_processor(device) - before) / len(images)
    _print_times("at the edge", took)
    print(f"  {each:.0f} ms of a processor a frame, one thread")
    return took


def _processor(device: Device) -> float:
    """Seconds of processor time of the device's servers."""
    ticks = 0
    for pid in device.processes()["server"]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def _sent(device: Device, link: Link) -> int:
    """The bytes that have gone over the link when no log waits on the device any more."""
    deadline = time.monotonic() + LOGS_LIMIT
    quiet = 0
    while quiet < 5:
        if time.monotonic() > deadline:
            sys.exit(f"the logs did not leave the device within {LOGS_LIMIT:.0f} s")
        time.sleep(2)
        waits = [path for path in (device.directory / "spool").iterdir() if ".jsonl" in path.name]
        quiet = 0 if waits else quiet + 1
    return link.bytes


def _arrived(device: Device) -> int:
    device.plimsoll("edge", "logs", "cabs", "--output", "logs")
    paths = (device.owner / "logs" / "cab-1").glob("*-cars-audit.jsonl")
    lines = (json.loads(line) for path in paths for line in path.read_text().splitlines())
    return sum("id" in line for line in lines) - 5


def _in_the_cloud(device: Device, pictures: Sequence[bytes]) -> None:
    """One picture after the other, and then those of two cameras as they come."""
    urls = [
        json.loads((device.directory / "services" / name / "ready.json").read_text())["url"]
        for name in ("detector", "cars")
    ]
    python = peer(["pillow==13.0.0"])
    receiver = subprocess.Popen([python, RECEIVER, *urls], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        link = Link(int(receiver.stdout.readline()), RATE, DELAY)
        _print_times("through the cloud, one at a time", sorted(_posted(link, pictures, 0.0)))
        together: list[float] = []
        cameras = [
            threading.Thread(target=lambda: together.extend(_posted(link, pictures, 1 / A_SECOND)))
            for _ in range(CAMERAS)
        ]
        for each in cameras:
            each.start()
        for each in cameras:
            each.join()
        _print_times(f"through the cloud, {CAMERAS} cameras of {A_SECOND} frames a second", sorted(together))
    finally:
        receiver.kill()
        receiver.wait()


def _posted(link: Link, pictures: Sequence[bytes], every: float) -> Iterator[float]:
    """Milliseconds from each picture to its answer; with `every` they come so many seconds apart, and wait in line."""
    connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=60)
    begin = time.perf_counter()
    for number, picture in enumerate(pictures):
        came = begin + number * every if every else time.perf_counter()
        time.sleep(max(0.0, came - time.perf_counter()))
        connection.request("POST", "/", picture)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"the cloud answered {answer.status}")
        yield 1000 * (time.perf_counter() - came)
    connection.close()


def _print_times(what: str, took: Sequence[float]) -> None:
    print(f"  {what}: p50 {took[len(took) // 2]:.0f} ms, p99 {took[int(len(took) * 0.99)]:.0f} ms", flush=True)
