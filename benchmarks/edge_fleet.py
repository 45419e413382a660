"""Thousands of devices at one registry: what their syncs cost it, and whether each learns of an update in time.

    python -m benchmarks edge --devices 10000 --minutes 60
    python -m benchmarks edge --devices 500 --minutes 1 --sync 15

A simulated device is what an agent does at each sync, with its own name and number of reports: a look at the tag of the
state, the state itself when it is another one, and its signed report. It serves nothing. All sign with one key.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmarks.edge_link import Link
from benchmarks.measuring import verdict
from benchmarks.registry import registry
from plimsoll.edge.documents import REPORT, STATE, DesiredState, Device, DeviceReport, Fleet
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.fleet_file import FleetFile
from plimsoll.edge.owner import Owner
from plimsoll.edge.place import STATE_TAG, EdgePlace, report_tag
from plimsoll.kinds.edge import Edge
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import parse_reference
from plimsoll.signing.keys import KeyFiles, KeyRing

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

WORKERS = 8
LATE_LIMIT = 2.0
"""Syncs within which every device knows of an update."""
GROUP = "cabs"


def fleet(devices: int, minutes: float, sync: float) -> bool:
    """Run it. Half of the time goes by before an update, and half after it."""
    print(f"edge: {devices} devices that sync every {sync:.0f} s at one registry, for {minutes:g} min")
    with tempfile.TemporaryDirectory() as name, registry(Path(name)) as place:
        port = int(place.registry.rpartition(":")[2])
        link = Link(port)
        run = _Run(Path(name), f"127.0.0.1:{port}/bench", devices, sync)
        one = _bytes_of_one(run, f"127.0.0.1:{link.port}/bench/edge/{GROUP}", link)
        before = _cpu_of_registry(name)
        began = time.monotonic()
        took = run.go(minutes * 60)
        passed = time.monotonic() - began
        cpu = _cpu_of_registry(name) - before
        looked = time.monotonic()
        heard = run.owner.listen()
        looked = time.monotonic() - looked
        run.owner.close()
    syncs, requests = run.syncs, run.requests
    a_day = one * 86400 / sync / 1e6
    late = sorted(took.values())
    print(f"  {syncs} syncs, {requests} requests, {requests / passed * 60:.0f} a minute; behind by {run.behind:.1f} s")
    print(f"  on the wire for one device: {one / 1000:.1f} kB a sync, {a_day:.1f} MB a day (plain HTTP)")
    each = cpu / syncs * 1000
    print(f"  registry: {cpu:.0f} s of a processor, {100 * cpu / passed:.0f} % of one, {each:.2f} ms a sync")
    print(f"  the owner's look at all of them: {looked:.1f} s")
    half = f"; half of them within {late[len(late) // 2]:.0f} s" if late else ""
    print(f"  {len(late)} of {devices} took the update{half}")
    everybody = len(late) == devices and all(one.report is not None for one in heard.devices.values())
    # A device that does not know of it when the time is over counts as one that never will.
    latest = late[-1] / sync if everybody else float("inf")
    return verdict("the last device knows of an update after", latest, LATE_LIMIT, "syncs")


class _Keys(KeyRing):
    """A ring that reads its key once: thousands of devices read theirs each for itself."""

    @cached_property
    def _signer(self) -> CryptoSigner:
        return super().signer()

    def signer(self) -> CryptoSigner:
        """The signing key."""
        return self._signer


class _Run:
    def __init__(self, directory: Path, place: str, devices: int, sync: float) -> None:
        self._sync_time = sync
        self.keys = _Keys(directory / "keys")
        key = self.keys.signer().public_key
        self.trusted = KeyFiles(self.keys.trusted)
        edge = Edge(services=("m",), registry=place, rollout=("100%",), hold="0s", sync=f"{sync:.0f}s")
        self.owner = Owner(directory / "state", GROUP, edge, self.keys, print)
        self.place = f"{place}/edge/{GROUP}"
        self.names = [f"cab-{number:05d}" for number in range(devices)]
        now = datetime.now(UTC)
        known = {
            name: Device(
                name=name,
                labels={"site": "north"},
                key_id=str(key.keyid),
                key={"keyid": key.keyid, **key.to_dict()},
                enrolled=now,
            )
            for name in self.names
        }
        file = FleetFile(directory / "state", GROUP)
        with file.locked():
            file.write(Fleet(group=GROUP, devices=known))
        self.release()
        self.syncs = self.requests = 0
        self.behind = 0.0
        self._lock = threading.Lock()
        self._updated = float("inf")
        self._counter = self.owner.fleet().state.counter  # type: ignore[union-attr]  # it was released above
        self._took: dict[str, float] = {}

    def release(self) -> None:
        """Sign another state: the same services under a new number, which every device has to take."""
        self.owner.release([], cast("ModelRegistry", None))

    def go(self, seconds: float) -> dict[str, float]:
        """Sync all devices, each at its own second of the minute; gives the seconds in which each took the update."""
        begin = time.monotonic()
        updating = threading.Timer(seconds / 2, self._update)
        updating.start()
        with ThreadPoolExecutor(WORKERS) as pool:
            for worker in range(WORKERS):
                pool.submit(self._work, self.names[worker::WORKERS], begin, begin + seconds)
        updating.join()
        return self._took

    def _update(self) -> None:
        self.release()
        self._updated = time.monotonic()

    def _work(self, names: list[str], begin: float, end: float) -> None:
        place = EdgePlace(parse_reference(self.place))
        numbers = dict.fromkeys(names, 0)
        known: dict[str, str] = {}
        turn = 0
        while names and time.monotonic() < end:
            for place_in_turn, name in enumerate(names):
                due = begin + self._sync_time * (turn + place_in_turn / len(names))
                if due > end:
                    break
                time.sleep(max(0.0, due - time.monotonic()))
                with self._lock:
                    self.behind = max(self.behind, time.monotonic() - due)
                numbers[name] += 1
                self._sync(place, name, numbers[name], known)
            turn += 1
        place.close()

    def _sync(self, place: EdgePlace, name: str, number: int, known: dict[str, str]) -> None:
        # One connection carries several devices here: what each has seen is kept apart.
        digest, requests = place.digest(STATE_TAG), 2
        if digest != known.get(name):
            envelope = place.read(STATE_TAG)
            state, _ = unseal(envelope or b"", f"{GROUP}/state", STATE, DesiredState, self.trusted)
            known[name] = digest
            requests += 1
            if state.counter > self._counter:
                with self._lock:
                    self._took.setdefault(name, max(0.0, time.monotonic() - self._updated))
        self._report(place, name, number)
        with self._lock:
            self.syncs += 1
            self.requests += requests

    def _report(self, place: EdgePlace, name: str, number: int) -> None:
        report = DeviceReport(device=name, number=number, at=datetime.now(UTC), counter=1, release=1, disk=1 << 34)
        place.write(report_tag(name), seal(f"{GROUP}/{name}/report", REPORT, report, self.keys))


def _bytes_of_one(run: _Run, place: str, link: Link) -> float:
    """Bytes on the wire of one sync, headers included, without what the first one has beside it."""
    device, known = EdgePlace(parse_reference(place)), dict[str, str]()
    run._sync(device, run.names[0], 1, known)
    before = link.bytes
    for number in range(10):
        run._sync(device, run.names[0], number + 2, known)
    device.close()
    run.syncs = run.requests = 0
    return (link.bytes - before) / 10


def _cpu_of_registry(directory: str) -> float:
    """Seconds of processor time of the registry whose settings lie in a directory."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
            if "serve" in words and any(each.startswith(directory) for each in words):
                fields = (path.parent / "stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue
    return 0.0
